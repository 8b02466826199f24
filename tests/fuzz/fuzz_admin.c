/*
 * What the admin worker reads beyond a head and its framing: path, query and credentials of a request. What must
 * hold: what is found has a row of this box, and credentials are printable and end.
 */
#include <stdint.h>
#include <string.h>

#include "common/admin/admin_credentials.h"
#include "common/admin/admin_route.h"
#include "common/fatal.h"
#include "proto/http1_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_printable(const char *text)
{
    REQUIRE(strlen(text) < ADMIN_CREDENTIAL_MAX);
    for (; *text; text++)
        REQUIRE(*text > 0x20 && *text < 0x7f);
}

static void check_route(const struct http_message *m)
{
    struct span method = http_message_method(m), path = http_message_path(m);
    const char *mark = memchr(path.at, '?', path.len);
    size_t n_path = mark ? (size_t)(mark - path.at) : path.len;
    for (unsigned box = ADMIN_EDGE; box <= ADMIN_CORE; box++) {
        const struct admin_route *r = NULL;
        json_t *args = json_object();
        char allow[64], why[160] = "";
        if (admin_route_find(box, method.at, method.len, path.at, n_path, args, &r, allow) == ERR_OK) {
            REQUIRE(r->boxes & box);
            if (mark)
                (void)admin_route_query(r, mark + 1, path.len - n_path - 1, args, why, sizeof why);
            (void)admin_route_judge(r, args, why, sizeof why);
        }
        json_decref(args);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct http_message m;
    struct http1_head head;
    struct http1_failure why;
    struct admin_credentials k;
    size_t scanned = 0, used = 0;
    http_message_init(&m);
    if (http1_parse_request(data, n, &scanned, &m, &head, &used, &why) == ERR_OK) {
        admin_credentials_read(&m, &k);
        check_printable(k.session);
        check_printable(k.bearer);
        check_printable(k.csrf);
        check_route(&m);
    }
    http_message_free(&m);
    return 0;
}
