/*
 * The PROXY protocol's header. What must hold: what is taken is taken at the same length however much follows
 * it, every shorter beginning asks for more, and what is refused stays refused.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* In memory of exactly that length, so that reading behind it is seen. */
static enum err parse(const uint8_t *data, size_t n, struct proxy_header *h, size_t *used)
{
    uint8_t *exact = malloc(n + !n);
    const char *why = NULL;
    if (n)
        memcpy(exact, data, n);
    enum err e = proxy_header_parse(exact, n, h, used, &why);
    REQUIRE(e == ERR_OK || e == ERR_AGAIN || (e == ERR_MALFORMED && why));
    free(exact);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_header whole = {0}, again = {0};
    size_t used = 0, used_again = 0;
    enum err e = parse(data, n, &whole, &used);
    if (e == ERR_AGAIN) {
        REQUIRE(n < PROXY_HEADER_MAX);
        return 0;
    }
    if (e == ERR_MALFORMED)
        return 0;
    REQUIRE(used > 0 && used <= n && used <= PROXY_HEADER_MAX);
    REQUIRE(whole.local || (whole.client.family && whole.client.family == whole.server.family));
    REQUIRE(proxy_header_begins(data, n));
    REQUIRE(parse(data, used, &again, &used_again) == ERR_OK && used_again == used);
    REQUIRE(netaddr_equal(&whole.client, &again.client) && netaddr_equal(&whole.server, &again.server));
    for (size_t cut = 0; cut < used; cut++)
        REQUIRE(parse(data, cut, &again, &used_again) == ERR_AGAIN);
    return 0;
}
