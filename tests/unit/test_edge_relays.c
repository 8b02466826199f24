/* Which addresses of a box relays are on, and which are never peers or the cluster's. */
#include "edge/edge_relays.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static struct config config;
static struct local_addresses local;

/* Two edges with these keys, read as the edge reads them; the first is ours. */
static const struct config_edge *read_edges(const char *ours, const char *other)
{
    char why[SCHEMA_WHY], *text = NULL;
    ck_assert_int_gt(asprintf(&text,
                              "{\"join_url\":\"https://a.example\",\"cores\":[{\"name\":\"c\",\"key\":\"" KEY
                              "\"}],\"edges\":[{\"name\":\"e1\",\"ssh\":\"a\",\"host_key\":\"" KEY
                              "\"%s},{\"name\":\"e2\",\"ssh\":\"b\",\"host_key\":\"" KEY "\"%s}]}",
                              ours, other),
                     0);
    ck_assert_msg(config_parse("stile.json", text, &config, why) == ERR_OK, "%s", why);
    free(text);
    return config_edge_at(&config, 0);
}

static void set_up(void)
{
    static const char *const list[] = {"127.0.0.1", "10.0.0.36",    "203.0.113.10",
                                       "::1",       "203.0.113.11", "2001:db8::36"};
    for (local.n = 0; local.n < sizeof list / sizeof list[0]; local.n++)
        ck_assert_int_eq(netaddr_parse(list[local.n], 0, &local.list[local.n]), ERR_OK);
}

static void tear_down(void)
{
    config_free(&config);
}

static void are(json_t *list, const char *wanted)
{
    char *text = json_dumps(list, JSON_COMPACT);
    ck_assert_str_eq(text, wanted);
    free(text);
    json_decref(list);
}

static void relays_are(const char *ours, const char *wanted)
{
    char pointer[RELAYS_POINTER], why[SCHEMA_WHY];
    json_t *list = edge_relays(read_edges(ours, ""), &local, pointer, why);
    ck_assert_msg(list != NULL, "%s", why);
    are(list, wanted);
    config_free(&config);
}

START_TEST(test_derived)
{
    relays_are("", "[{\"bind\":\"10.0.0.36\",\"advertised\":\"10.0.0.36\"}]");
    relays_are(",\"public_address\":\"203.0.113.10\"",
               "[{\"bind\":\"203.0.113.10\",\"advertised\":\"203.0.113.10\"}]");
    relays_are(",\"public_address\":\"198.51.100.1\",\"internal_address\":\"203.0.113.11\"",
               "[{\"bind\":\"203.0.113.11\",\"advertised\":\"198.51.100.1\"}]");
}
END_TEST

START_TEST(test_listed)
{
    relays_are(",\"public_address\":\"203.0.113.10\",\"internal_address\":\"10.0.0.36\",\"relay_addresses\":"
               "[\"203.0.113.11\",\"10.0.0.36=198.51.100.1\",\"2001:db8:0::36\"]",
               "[{\"bind\":\"203.0.113.11\",\"advertised\":\"203.0.113.11\"},"
               "{\"bind\":\"10.0.0.36\",\"advertised\":\"198.51.100.1\"},"
               "{\"bind\":\"2001:db8::36\",\"advertised\":\"2001:db8::36\"}]");
}
END_TEST

static void refused(const char *ours, const char *where, const char *words)
{
    char pointer[RELAYS_POINTER], why[SCHEMA_WHY];
    ck_assert_ptr_null(edge_relays(read_edges(ours, ""), &local, pointer, why));
    ck_assert_str_eq(pointer, where);
    ck_assert_msg(strstr(why, words), "%s", why);
    config_free(&config);
}

START_TEST(test_no_address_of_this_box)
{
    refused(",\"relay_addresses\":[\"203.0.113.10\",\"203.0.113.12\"]", "/relay_addresses/1",
            "203.0.113.12 is no address of this box");
    refused(",\"relay_addresses\":[\"198.51.100.1=203.0.113.10\"]", "/relay_addresses/0",
            "198.51.100.1 is no address of this box");
    refused(",\"internal_address\":\"10.0.0.37\"", "/internal_address", "10.0.0.37 is no address");
    local.n = 1;
    refused("", "", "edge e1");
}
END_TEST

START_TEST(test_own)
{
    const struct config_edge *self =
        read_edges(",\"relay_addresses\":[\"203.0.113.10\",\"10.0.0.36=198.51.100.1\"]", "");
    are(edge_own_addresses(self, &local),
        "[\"0.0.0.0:443\",\"0.0.0.0:80\",\"0.0.0.0:2222\",\"10.0.0.36\",\"203.0.113.10\",\"203.0.113.11\","
        "\"2001:db8::36\",\"198.51.100.1\"]");
}
END_TEST

START_TEST(test_cluster)
{
    const struct config_edge *self = read_edges(",\"relay_addresses\":[\"203.0.113.10\"]",
                                                ",\"public_address\":\"203.0.113.20\",\"relay_addresses\":["
                                                "\"203.0.113.21\",\"10.1.0.1=203.0.113.22\"]");
    are(edge_cluster_addresses(&config, self), "[\"203.0.113.21\",\"203.0.113.22\",\"10.1.0.1\"]");
    are(edge_cluster_addresses(&config, config_edge_at(&config, 1)), "[\"203.0.113.10\"]");
    config_free(&config);
    self = read_edges("", ",\"public_address\":\"203.0.113.20\",\"internal_address\":\"10.1.0.1\"");
    are(edge_cluster_addresses(&config, self), "[\"203.0.113.20\",\"10.1.0.1\"]");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("edge_relays");
    TCase *tc = tcase_create("edge_relays");
    const TTest *const tests[] = {test_derived, test_listed, test_no_address_of_this_box, test_own,
                                  test_cluster};
    tcase_add_checked_fixture(tc, set_up, tear_down);
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
