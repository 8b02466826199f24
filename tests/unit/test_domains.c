/* A reload of the domains: what stays the same keeps its targets and what is known of them, wherever it
 * stands in the list now; what has changed begins anew. Nobody listens where the targets are: they are known
 * as Failed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/bridge/domains.h"
#include "tests/unit/unit.h"

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP3w7eIvMuS8+xWEJJZ2qFgKVm8oj2NLdJqV5pCF/4CB"
#define CONFIG(url, targets, domains)                                                                        \
    "{\"join_url\": \"" url "\", \"web_proxy\": {\"targets\": [" targets "], \"domains\": [" domains "]},"   \
    "\"edges\": [{\"name\": \"edge1\", \"ssh\": \"10.0.0.1\", \"host_key\": \"" KEY "\"}],"                  \
    "\"cores\": [{\"name\": \"core1\", \"key\": \"" KEY "\"}]}"
#define DOMAIN(url, targets) "{\"join_url\": \"" url "\", \"targets\": [" targets "]}"

static struct ev_loop *loop;
static struct box box;
static unsigned changes[3];

static void on_change(void *ctx, size_t i)
{
    (void)ctx;
    ck_assert_uint_lt(i, 3);
    changes[i]++;
}

static const struct domains_events events = {on_change};

static struct domains *make(const char *text)
{
    char why[SCHEMA_WHY];
    struct config c;
    struct domains *d;
    ck_assert_msg(config_parse("stile.json", text, &c, why) == ERR_OK, "%s", why);
    ck_assert_msg(domains_new(loop, &box, &c, &events, NULL, &d, why) == ERR_OK, "%s", why);
    config_free(&c);
    return d;
}

/* The member of domain i's first target, or of the domain itself; to be freed. */
static char *member(const struct domains *d, size_t i, bool target, const char *key)
{
    json_t *status = domains_status(d);
    const json_t *of = json_array_get(status, i);
    if (target)
        of = json_array_get(json_object_get(of, "targets"), 0);
    const char *text = json_string_value(json_object_get(of, key));
    char *copy = strdup(text ? text : "");
    json_decref(status);
    return copy;
}

static void is(const struct domains *d, size_t i, bool target, const char *key, const char *wanted)
{
    char *text = member(d, i, target, key);
    ck_assert_str_eq(text, wanted);
    free(text);
}

static void wait_failed(const struct domains *d, size_t i)
{
    for (double until = ev_time() + 20;;) {
        char *state = member(d, i, true, "state");
        bool failed = strcmp(state, "failed") == 0;
        free(state);
        if (failed)
            return;
        ck_assert(ev_time() < until);
        ev_run(loop, EVRUN_ONCE);
    }
}

START_TEST(test_take_over)
{
    loop = ev_default_loop(0);
    struct domains *old =
        make(CONFIG("https://a.example", "\"127.0.0.1:9\"", DOMAIN("https://b.example", "\"127.0.0.2:9\"")));
    domains_start(old);
    wait_failed(old, 0);
    wait_failed(old, 1);
    ck_assert_uint_ge(changes[0], 1);
    ck_assert_uint_ge(changes[1], 1);
    ck_assert_uint_eq(changes[2], 0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(domains_first_use(old, i));
        ck_assert(!domains_first_use(old, i));
    }
    /* b comes first and has another port, a has another target, c is new. */
    struct domains *fresh = make(CONFIG(
        "https://b.example:8443", "\"127.0.0.2:9\"",
        DOMAIN("https://a.example", "\"127.0.0.3:9\"") "," DOMAIN("https://c.example", "\"127.0.0.4:9\"")));
    is(fresh, 0, true, "state", "");
    domains_take_over(fresh, old);
    domains_free(old);
    is(fresh, 0, false, "domain", "b.example");
    is(fresh, 0, false, "join_url", "https://b.example:8443");
    is(fresh, 0, true, "address", "127.0.0.2");
    is(fresh, 0, true, "state", "failed"); /* known, without another look */
    is(fresh, 1, true, "state", "");
    is(fresh, 2, true, "state", "");
    ck_assert(!domains_first_use(fresh, 0)); /* nothing of it was replaced */
    ck_assert(domains_first_use(fresh, 1));
    ck_assert(domains_first_use(fresh, 2));
    memset(changes, 0, sizeof changes);
    domains_start(fresh);
    wait_failed(fresh, 1);
    wait_failed(fresh, 2);
    is(fresh, 1, true, "address", "127.0.0.3");
    ck_assert_uint_ge(changes[1], 1);
    ck_assert_uint_ge(changes[2], 1);
    ck_assert_uint_eq(changes[0], 0);
    domains_free(fresh);
}
END_TEST

UNIT_MAIN("domains", test_take_over)
