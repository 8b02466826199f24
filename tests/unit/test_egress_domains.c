/* Two domains in one egress: each request to its own domain's bridges, and nothing of a connection shared,
 * also where both domains have a bridge at one address. */
#include "tests/unit/egress_fixture.h"

#define JOIN "join.example.com"
#define MEET "meet.example.com"
static const char rules[] =
    "[{\"host\":\"" JOIN "\"},{\"host\":\"" MEET "\"},{\"host\":\"files.example.com\"}]";

static char *other_ca, *other_key;
static char last_head[8192];

/* The bridge's certificate names every host of example.com. */
static void start(void)
{
    lab_start();
    free(lab.cert);
    free(lab.key);
    ck_assert_int_eq(tls_self_signed("*.example.com", 1, &lab.cert, &lab.key), ERR_OK);
    ck_assert_int_eq(tls_self_signed("ca.example.net", 1, &other_ca, &other_key), ERR_OK);
}

static void stop(void)
{
    lab_stop();
    free(other_ca);
    free(other_key);
}

/* ca_of_meet: that of the second domain; NULL: there is no second one. */
static enum err set_domains(const char *list, const char *ca_of_meet, char *why, size_t why_size)
{
    json_t *allowlist = json_loads(list, 0, NULL);
    json_t *domains = json_pack("[{ss s[s] ss}]", "host", JOIN, "hosts", JOIN, "bridge_ca", lab.cert);
    if (ca_of_meet)
        json_array_append_new(domains, json_pack("{ss s[ss] ss}", "host", MEET, "hosts", MEET,
                                                 "files.example.com", "bridge_ca", ca_of_meet));
    enum err e = egress_set_policy(lab.egress, allowlist, domains, why, why_size);
    json_decref(allowlist);
    json_decref(domains);
    return e;
}

static void use_domains(const char *ca_of_meet)
{
    char why[512] = "";
    ck_assert_msg(set_domains(rules, ca_of_meet, why, sizeof why) == ERR_OK, "%s", why);
}

static void use_target(const char *host, const struct bridge *b)
{
    json_t *rows = json_array();
    add_rows(rows, b, "active", 0, 0);
    egress_set_targets(lab.egress, host, rows);
    json_decref(rows);
}

static struct call *get_of(const char *host)
{
    struct http_message m;
    message_start(&m, "GET", "/");
    http_message_set_authority(&m, host, strlen(host));
    struct call *c = call_message(&m, true);
    http_message_free(&m);
    RUN_UNTIL(c->closed);
    return c;
}

static void serve_and_close(struct peer *p)
{
    while (peer_head(p, last_head, sizeof last_head))
        peer_say(p, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static bool asked_for(const struct peer *p, const char *name)
{
    return strcmp(SSL_get_servername(stream_ssl(p->stream), TLSEXT_NAMETYPE_host_name), name) == 0;
}

/* One address, two domains: SNI is each domain's own, and no session is resumed across. */
START_TEST(test_one_address)
{
    start();
    struct bridge *b = bridge_start(serve_and_close);
    use_domains(lab.cert);
    use_target(JOIN, b);
    use_target(MEET, b);
    static const struct {
        const char *host, *sni;
        bool resumed;
    } steps[] = {{JOIN, JOIN, false},
                 {JOIN, JOIN, true},
                 {MEET, MEET, false},
                 {JOIN, JOIN, true},
                 {"files.example.com", MEET, true}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        char host[64];
        ck_assert_uint_eq(get_of(steps[i].host)->status, 200);
        ck_assert_uint_eq(b->n_peers, i + 1);
        ck_assert(asked_for(&b->peers[i], steps[i].sni));
        ck_assert_int_eq(SSL_session_reused(stream_ssl(b->peers[i].stream)), steps[i].resumed);
        snprintf(host, sizeof host, "\r\nhost: %s\r\n", steps[i].host);
        ck_assert_ptr_nonnull(strstr(last_head, host));
    }
    json_t *status = egress_status(lab.egress), *of = json_object_get(status, "domains");
    ck_assert_int_eq(json_integer_value(json_object_get(of, JOIN)), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(of, MEET)), 2);
    json_decref(status);
    stop();
}
END_TEST

/* Kept connections serve their own domain alone. */
START_TEST(test_pools)
{
    start();
    struct bridge *b = bridge_start(serve_ok);
    use_domains(lab.cert);
    use_target(JOIN, b);
    use_target(MEET, b);
    get_of(JOIN);
    get_of(MEET);
    ck_assert_uint_eq(b->n_peers, 2);
    get_of(JOIN);
    get_of(MEET);
    get_of("files.example.com");
    ck_assert_uint_eq(b->n_peers, 2);
    ck_assert_uint_eq(b->peers[0].requests, 2);
    ck_assert_uint_eq(b->peers[1].requests, 3);
    stop();
}
END_TEST

/* A domain without targets, or whose bridge its CA has not signed, has no other domain's to fall back on. */
START_TEST(test_no_other_bridges)
{
    start();
    struct bridge *b = bridge_start(serve_ok);
    use_domains(other_ca);
    use_target(JOIN, b);
    ck_assert(call_failed(get_of(MEET), 502, "no-target"));
    ck_assert_uint_eq(get_of(JOIN)->status, 200);
    use_target(MEET, b);
    ck_assert(call_failed(get_of(MEET), 502, "connect-failed"));
    ck_assert_str_eq(lab.target_host, MEET);
    ck_assert_ptr_nonnull(strstr(lab.target_reason, "certificate verify failed"));
    ck_assert_uint_eq(get_of(JOIN)->status, 200);
    ck_assert_uint_eq(bridge_requests(b), 2);
    stop();
}
END_TEST

/* A new policy: a domain goes, its connections with it; the other one keeps its own. Then it comes back. */
START_TEST(test_removed)
{
    char why[512];
    start();
    struct bridge *b = bridge_start(serve_ok);
    use_domains(lab.cert);
    use_target(JOIN, b);
    use_target(MEET, b);
    get_of(JOIN);
    get_of(MEET);
    ck_assert_int_eq(set_domains("[{\"host\":\"" JOIN "\"}]", NULL, why, sizeof why), ERR_OK);
    RUN_UNTIL(b->peers[1].eof || b->peers[1].closed);
    ck_assert(call_failed(get_of(MEET), 421, "wrong-host"));
    ck_assert_uint_eq(get_of(JOIN)->status, 200);
    ck_assert_uint_eq(b->n_peers, 2);
    use_target(MEET, b); /* a message that was on its way: nobody's */
    use_domains(lab.cert);
    ck_assert(call_failed(get_of(MEET), 502, "no-target"));
    use_target(MEET, b);
    ck_assert_uint_eq(get_of(MEET)->status, 200);
    stop();
}
END_TEST

/* Its requests go on where a domain goes under them. */
static void serve_later(struct peer *p)
{
    (void)p;
}

START_TEST(test_removed_under_a_request)
{
    char why[512];
    struct http_message m;
    start();
    struct bridge *b = bridge_start(serve_later);
    use_domains(lab.cert);
    use_target(MEET, b);
    message_start(&m, "GET", "/");
    http_message_set_authority(&m, MEET, strlen(MEET));
    struct call *c = call_message(&m, true);
    http_message_free(&m);
    RUN_UNTIL(b->n_peers == 1 && b->peers[0].received > 0);
    ck_assert_int_eq(set_domains("[{\"host\":\"" JOIN "\"}]", NULL, why, sizeof why), ERR_OK);
    b->serve = serve_ok;
    serve_ok(&b->peers[0]);
    RUN_UNTIL(c->closed);
    ck_assert_uint_eq(c->status, 200);
    RUN_UNTIL(b->peers[0].eof || b->peers[0].closed); /* not kept */
    stop();
}
END_TEST

/* What is no policy changes nothing. */
START_TEST(test_refused)
{
    char why[512] = "";
    start();
    struct bridge *b = bridge_start(serve_ok);
    use_domains(lab.cert);
    use_target(MEET, b);
    ck_assert_int_eq(set_domains("[{\"host\":\"x.example.com\"}]", lab.cert, why, sizeof why), ERR_CONFIG);
    ck_assert_str_eq(why, "rule 1: host x.example.com is no domain's");
    ck_assert_int_eq(set_domains(rules, "no certificate", why, sizeof why), ERR_CONFIG);
    static const char *const wrong[] = {"[]",
                                        "[{\"hosts\":[]}]",
                                        "[{\"host\":\"\",\"hosts\":[]}]",
                                        "[{\"host\":\"a\"}]",
                                        "[{\"host\":\"a\",\"hosts\":[1]}]",
                                        "[{\"host\":\"a\",\"hosts\":[]},{\"host\":\"a\",\"hosts\":[]}]"};
    json_t *none = json_array();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *domains = json_loads(wrong[i], 0, NULL);
        ck_assert_msg(egress_set_policy(lab.egress, none, domains, why, sizeof why) == ERR_CONFIG, "%s",
                      wrong[i]);
        json_decref(domains);
    }
    json_decref(none);
    ck_assert_uint_eq(get_of(MEET)->status, 200);
    stop();
}
END_TEST

/* A target that fails every request is told of now and then, not each time. */
START_TEST(test_told_at_a_rate)
{
    start();
    struct bridge *b = bridge_start(serve_ok);
    use_domains(lab.cert);
    use_target(JOIN, b);
    bridge_stop(b);
    for (int i = 0; i < 60; i++)
        ck_assert(call_failed(get_of(JOIN), 502, "connect-failed"));
    ck_assert_uint_ge(lab.targets_failed, 1);
    ck_assert_uint_lt(lab.targets_failed, 30);
    ck_assert_int_eq(status_number("unreachable"), 60);
    stop();
}
END_TEST

UNIT_MAIN("egress_domains", test_one_address, test_pools, test_no_other_bridges, test_removed,
          test_removed_under_a_request, test_refused, test_told_at_a_rate)
