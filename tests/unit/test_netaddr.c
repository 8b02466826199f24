/* Addresses and networks, in every notation a config or a packet may bring. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/netaddr.h"

static const struct {
    const char *text, *back; /* back NULL: malformed */
} addresses[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"192.0.2.1:443", "192.0.2.1:443"},
    {"2001:db8::1", "2001:db8::1"},
    {"[2001:db8::1]:443", "[2001:db8::1]:443"},
    {"[2001:db8::1]", "2001:db8::1"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"[::ffff:c000:201]:80", "192.0.2.1:80"},
    {"192.0.2.1:0", NULL},
    {"192.0.2.1:65536", NULL},
    {"192.0.2.1:+1", NULL},
    {"192.0.2.1: 1", NULL},
    {"192.0.2", NULL},
    {"0300.0.2.1", NULL},
    {"[2001:db8::1", NULL},
    {"[2001:db8::1]443", NULL},
    {"example.com", NULL},
    {"", NULL},
};

START_TEST(test_address)
{
    struct netaddr a;
    char text[NETADDR_TEXT];
    enum err e = netaddr_parse(addresses[_i].text, 0, &a);
    ck_assert_int_eq(e, addresses[_i].back ? ERR_OK : ERR_MALFORMED);
    if (e == ERR_OK)
        ck_assert_str_eq(netaddr_print(&a, text), addresses[_i].back);
}
END_TEST

START_TEST(test_sockaddr)
{
    struct netaddr a, b;
    struct sockaddr_storage sa;
    ck_assert_int_eq(netaddr_parse(addresses[_i].text, 0, &a), ERR_OK);
    socklen_t n = netaddr_to_sockaddr(&a, &sa);
    ck_assert_int_eq(netaddr_from_sockaddr((struct sockaddr *)&sa, n, &b), ERR_OK);
    ck_assert(netaddr_equal(&a, &b));
    n = netaddr_to_sockaddr_mapped(&a, &sa);
    ck_assert_int_eq(sa.ss_family, AF_INET6);
    ck_assert_int_eq(netaddr_from_sockaddr((struct sockaddr *)&sa, n, &b), ERR_OK);
    ck_assert(netaddr_equal(&a, &b));
    ck_assert_int_eq(netaddr_from_sockaddr((struct sockaddr *)&sa, 4, &b), ERR_UNSUPPORTED);
}
END_TEST

static const struct {
    const char *net, *in, *out; /* in NULL: malformed */
} networks[] = {
    {"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
    {"192.0.2.128/25", "192.0.2.200", "192.0.2.127"},
    {"192.0.2.1", "192.0.2.1", "192.0.2.2"},
    {"0.0.0.0/0", "203.0.113.1", "::1"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
    {"::/0", "2001:db8::1", "192.0.2.1"},
    {"10.0.0.1/8", NULL, NULL},
    {"10.0.0.0/33", NULL, NULL},
    {"10.0.0.0/-1", NULL, NULL},
    {"10.0.0.0/", NULL, NULL},
    {"10.0.0.0/8x", NULL, NULL},
    {"10.0.0.0:80/8", NULL, NULL},
    {"2001:db8::1/64", NULL, NULL},
};

START_TEST(test_network)
{
    struct netcidr net;
    struct netaddr a;
    enum err e = netcidr_parse(networks[_i].net, &net);
    ck_assert_int_eq(e, networks[_i].in ? ERR_OK : ERR_MALFORMED);
    if (e != ERR_OK)
        return;
    ck_assert_int_eq(netaddr_parse(networks[_i].in, 0, &a), ERR_OK);
    ck_assert(netcidr_contains(&net, &a));
    ck_assert_int_eq(netaddr_parse(networks[_i].out, 0, &a), ERR_OK);
    ck_assert(!netcidr_contains(&net, &a));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("netaddr");
    TCase *tc = tcase_create("netaddr");
    tcase_add_loop_test(tc, test_address, 0, (int)(sizeof addresses / sizeof addresses[0]));
    tcase_add_loop_test(tc, test_sockaddr, 0, 7);
    tcase_add_loop_test(tc, test_network, 0, (int)(sizeof networks / sizeof networks[0]));
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
