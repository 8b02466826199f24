/* Bundles, as files that somebody hands to `join`: without a passphrase, which alone costs time. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/bundle.h"
#include "common/fatal.h"
#include "common/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char why[SCHEMA_WHY] = "";
    struct bundle b;
    char *text = malloc(n + 1);
    REQUIRE(text);
    memcpy(text, data, n);
    text[n] = '\0';
    bool sealed = bundle_is_encrypted(text);
    if (bundle_decode("the bundle", text, NULL, 1500000, &b, why) == ERR_OK) {
        REQUIRE(!sealed && *b.edge && *b.config && *b.secrets && b.expires > 1500000);
        REQUIRE(strncmp(b.host_key, "-----BEGIN ", 11) == 0);
        char *again = bundle_encode(&b, NULL);
        REQUIRE(again);
        free(again);
        bundle_free(&b);
    } else {
        REQUIRE(*why && memchr(why, '\0', sizeof why));
    }
    free(text);
    return 0;
}
