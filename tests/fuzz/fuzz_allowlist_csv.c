/* Rules as CSV: what is taken is written, and read again as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/allowlist_csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char *written(const struct allowlist *a)
{
    char *out;
    size_t n;
    FILE *memory = open_memstream(&out, &n);
    REQUIRE(memory != NULL);
    allowlist_csv_write(memory, a);
    REQUIRE(fclose(memory) == 0);
    return out;
}

static void judge(void *ctx, const struct allowlist_test *t)
{
    struct allowlist_verdict v;
    allowlist_judge_url(ctx, t->url, t->method, &v);
    REQUIRE((v.result == ALLOWLIST_ALLOW) == (v.rule != NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct allowlist first, second;
    char why[ALLOWLIST_CSV_WHY], *text = strndup((const char *)data, n), *tests = strdup(text);
    allowlist_init(&first);
    allowlist_init(&second);
    if (allowlist_csv_read("x", text, &first, why, sizeof why) == ERR_OK) {
        char *once = written(&first), *copy = strdup(once);
        REQUIRE(allowlist_csv_read("y", copy, &second, why, sizeof why) == ERR_OK);
        char *twice = written(&second);
        REQUIRE(first.n == second.n && strcmp(once, twice) == 0);
        free(once);
        free(copy);
        free(twice);
    }
    (void)allowlist_csv_tests("x", tests, judge, &first, why, sizeof why);
    allowlist_free(&first);
    allowlist_free(&second);
    free(tests);
    free(text);
    return 0;
}
