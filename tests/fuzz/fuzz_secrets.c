/* secrets.json and the private key, as a bundle that somebody hands to `join` brings them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "common/secrets.h"
#include "common/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* No words of another kind than people's. */
static void check_words(const char *why)
{
    REQUIRE(memchr(why, '\0', SCHEMA_WHY) && strncmp(why, "secrets.json:", 13) == 0);
    for (const char *c = why; *c; c++)
        REQUIRE((unsigned char)*c >= ' ' && *c != 0x7f);
    json_t *json = json_string(why);
    REQUIRE(json);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct secrets secrets;
    char why[SCHEMA_WHY] = "", digest[SECRETS_DIGEST], *text = strndup((const char *)data, n);
    REQUIRE(text);
    if (secrets_parse("secrets.json", text, &secrets, why) == ERR_OK) {
        REQUIRE(secrets.turn_nonce_key && secrets_digest(&secrets, digest));
        secrets_free(&secrets);
    } else {
        check_words(why);
    }
    char *line = ssh_key_public_of(text);
    REQUIRE(!line || strncmp(line, "ssh-ed25519 ", 12) == 0);
    free(line);
    free(text);
    return 0;
}
