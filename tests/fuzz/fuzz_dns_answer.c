/* Answers of a name server: whatever they are, a time to live comes of them, or the one that was wanted otherwise. */
#include <stdint.h>

#include "common/fatal.h"
#include "core/bridge/dns_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint32_t one = dns_answer_ttl(data, n, 60), other = dns_answer_ttl(data, n, 61);
    REQUIRE(one == other || (one == 60 && other == 61));
    return 0;
}
