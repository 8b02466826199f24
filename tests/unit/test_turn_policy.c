/* One row per notation and rule of turn-policy; the holes are those of CVE-2020-26262 and CVE-2026-27624. */
#include <arpa/inet.h>
#include <string.h>

#include "edge/turn/turn_policy.h"
#include "tests/unit/unit.h"

static struct turn_config config;
static struct turn_policy *policy;

static void add(const char *cidr, struct netcidr **list, size_t *n)
{
    struct netcidr net;
    ck_assert_int_eq(netcidr_parse(cidr, &net), ERR_OK);
    ck_assert_int_eq(turn_config_add_cidr(list, n, &net), ERR_OK);
}

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

/* As it comes out of a STUN message: mapped addresses stay IPv6. */
static struct netaddr raw6(const char *ip, uint16_t port)
{
    struct netaddr a = {.family = AF_INET6, .port = port};
    ck_assert_int_eq(inet_pton(AF_INET6, ip, a.ip), 1);
    return a;
}

static void make_policy(void)
{
    struct netaddr listening[] = {address("10.0.0.36:3478"), address("[2001:db8::36]:3478")};
    struct netaddr bind = address("10.0.0.36"), advertised = address("203.0.113.10"),
                   six = address("2001:db8::36");
    struct netaddr ssh = address("0.0.0.0:2222"), other = address("172.16.0.36");
    turn_config_init(&config);
    ck_assert_int_eq(turn_config_add_relay(&config, &bind, &advertised), ERR_OK);
    ck_assert_int_eq(turn_config_add_relay(&config, &six, &six), ERR_OK);
    turn_config_add_own(&config, &ssh);
    turn_config_add_own(&config, &other);
    add("10.1.0.0/16", &config.allow_peers, &config.n_allow_peers);
    add("fd00:1::/32", &config.allow_peers, &config.n_allow_peers);
    add("10.1.99.0/24", &config.deny_peers, &config.n_deny_peers);
    add("192.168.7.7/32", &config.cluster_addresses, &config.n_cluster_addresses);
    policy = turn_policy_new(&config, listening, 2);
    ck_assert_ptr_nonnull(policy);
}

static void free_policy(void)
{
    turn_policy_free(policy);
    turn_config_free(&config);
}

struct row {
    const char *ip;
    uint16_t port;
    enum turn_verdict verdict;
};

static void judge_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct netaddr a;
        if (strchr(rows[i].ip, ':')) {
            a = raw6(rows[i].ip, rows[i].port);
        } else {
            a = address(rows[i].ip);
            a.port = rows[i].port;
        }
        enum turn_verdict got = turn_policy_judge(policy, &a);
        ck_assert_msg(got == rows[i].verdict, "%s port %u: %s, expected %s", rows[i].ip, rows[i].port,
                      turn_verdict_words(got), turn_verdict_words(rows[i].verdict));
    }
}
#define JUDGE(...)                                                                                           \
    do {                                                                                                     \
        const struct row rows[] = {__VA_ARGS__};                                                             \
        make_policy();                                                                                       \
        judge_rows(rows, sizeof rows / sizeof *rows);                                                        \
        free_policy();                                                                                       \
    } while (0)

START_TEST(test_never)
{
    JUDGE({"0.0.0.0", 9, TURN_PEER_NEVER}, {"0.1.2.3", 9, TURN_PEER_NEVER}, {"127.0.0.1", 9, TURN_PEER_NEVER},
          {"127.255.0.1", 0, TURN_PEER_NEVER}, {"169.254.169.254", 80, TURN_PEER_NEVER},
          {"224.0.0.1", 9, TURN_PEER_NEVER}, {"239.1.2.3", 9, TURN_PEER_NEVER},
          {"255.255.255.255", 9, TURN_PEER_NEVER}, {"240.0.0.1", 9, TURN_PEER_NEVER},
          {"::", 9, TURN_PEER_NEVER}, {"::1", 9, TURN_PEER_NEVER}, {"fe80::1", 9, TURN_PEER_NEVER},
          {"febf::1", 9, TURN_PEER_NEVER}, {"ff02::1", 9, TURN_PEER_NEVER});
}
END_TEST

START_TEST(test_every_notation_of_loopback_and_private)
{
    JUDGE({"::ffff:127.0.0.1", 9, TURN_PEER_NEVER}, {"::127.0.0.1", 9, TURN_PEER_NEVER},
          {"::ffff:0:127.0.0.1", 9, TURN_PEER_NEVER}, {"2002:7f00:1::", 9, TURN_PEER_NEVER},
          {"64:ff9b::127.0.0.1", 9, TURN_PEER_NEVER}, {"::ffff:0.0.0.0", 9, TURN_PEER_NEVER},
          {"::ffff:169.254.169.254", 9, TURN_PEER_NEVER}, {"2002:a9fe:a9fe::1", 9, TURN_PEER_NEVER},
          {"::ffff:10.9.9.9", 9, TURN_PEER_PRIVATE}, {"2002:a09:909::1", 9, TURN_PEER_NEVER},
          {"64:ff9b::10.9.9.9", 9, TURN_PEER_PRIVATE}, {"::192.168.1.1", 9, TURN_PEER_PRIVATE},
          {"2001:0:a00:1::34ff:8efe", 9, TURN_PEER_NEVER} /* Teredo server 10.0.0.1 */,
          {"2001:0:cb00:7101::80ff:fffe", 9, TURN_PEER_NEVER} /* Teredo client 127.0.0.1 */,
          {"64:ff9b:1::1", 9, TURN_PEER_PRIVATE});
}
END_TEST

/* What clouds tell their machines, credentials among it. */
START_TEST(test_every_notation_of_metadata)
{
    JUDGE({"169.254.169.254", 0, TURN_PEER_NEVER}, {"169.254.169.254", 24001, TURN_PEER_NEVER},
          {"::ffff:169.254.169.254", 80, TURN_PEER_NEVER}, {"::169.254.169.254", 80, TURN_PEER_NEVER},
          {"::ffff:0:169.254.169.254", 80, TURN_PEER_NEVER}, {"64:ff9b::a9fe:a9fe", 80, TURN_PEER_NEVER},
          {"64:ff9b:1::a9fe:a9fe", 80, TURN_PEER_PRIVATE}, {"2002:a9fe:a9fe::", 80, TURN_PEER_NEVER},
          {"2001:0:cb00:7101::5601:5601", 80, TURN_PEER_NEVER} /* Teredo client */,
          {"2001:0:a9fe:a9fe::34ff:8efe", 80, TURN_PEER_NEVER} /* Teredo server */,
          {"fd00:ec2::254", 80, TURN_PEER_NEVER}, {"168.63.129.16", 53, TURN_PEER_NEVER},
          {"100.100.100.200", 80, TURN_PEER_NEVER}, {"2002:a83f:8110::1", 53, TURN_PEER_NEVER});
}
END_TEST

/* deny_peers and allow_peers hold in every notation, too. */
START_TEST(test_every_notation_of_lists)
{
    JUDGE({"10.1.99.1", 9, TURN_PEER_DENIED}, {"::ffff:10.1.99.1", 9, TURN_PEER_DENIED},
          {"::10.1.99.1", 9, TURN_PEER_DENIED}, {"::ffff:0:10.1.99.1", 9, TURN_PEER_DENIED},
          {"64:ff9b::10.1.99.1", 9, TURN_PEER_DENIED}, {"2002:a01:6301::1", 9, TURN_PEER_NEVER},
          {"2001:0:cb00:7101::f5fe:9cfe", 9, TURN_PEER_NEVER} /* Teredo client 10.1.99.1 */,
          {"64:ff9b::10.1.2.3", 9, TURN_PEER_ALLOWED}, {"2002:a01:203::1", 9, TURN_PEER_NEVER});
}
END_TEST

START_TEST(test_private_unless_allowed)
{
    JUDGE({"10.9.9.9", 9, TURN_PEER_PRIVATE}, {"172.16.1.1", 9, TURN_PEER_PRIVATE},
          {"172.32.0.1", 9, TURN_PEER_ALLOWED}, {"192.168.0.1", 9, TURN_PEER_PRIVATE},
          {"100.64.0.1", 9, TURN_PEER_PRIVATE}, {"198.18.0.1", 9, TURN_PEER_PRIVATE},
          {"fd00::1", 9, TURN_PEER_PRIVATE}, {"fec0::1", 9, TURN_PEER_PRIVATE},
          {"10.1.2.3", 9, TURN_PEER_ALLOWED}, {"fd00:1::1", 9, TURN_PEER_ALLOWED},
          {"10.1.99.1", 9, TURN_PEER_DENIED}, {"::ffff:10.1.2.3", 9, TURN_PEER_ALLOWED},
          {"::ffff:10.1.99.1", 9, TURN_PEER_DENIED},
          {"192.168.7.7", 24000, TURN_PEER_ALLOWED} /* another edge */, {"192.0.2.1", 9, TURN_PEER_ALLOWED},
          {"2001:db8::99", 9, TURN_PEER_ALLOWED});
}
END_TEST

/* IPv6 ranges by bits, not byte by byte: the neighbours of fe80::/10, fc00::/7. */
START_TEST(test_edges_of_ranges)
{
    JUDGE({"fe7f:ffff::1", 9, TURN_PEER_ALLOWED}, {"fbff::1", 9, TURN_PEER_ALLOWED},
          {"fdff::1", 9, TURN_PEER_PRIVATE}, {"feff::1", 9, TURN_PEER_PRIVATE},
          {"126.255.255.255", 9, TURN_PEER_ALLOWED}, {"128.0.0.1", 9, TURN_PEER_ALLOWED},
          {"100.63.255.255", 9, TURN_PEER_ALLOWED}, {"100.128.0.0", 9, TURN_PEER_ALLOWED},
          {"223.255.255.255", 9, TURN_PEER_ALLOWED});
}
END_TEST

START_TEST(test_own_addresses)
{
    JUDGE({"203.0.113.10", 24000, TURN_PEER_ALLOWED} /* a relay of ours */,
          {"203.0.113.10", 29999, TURN_PEER_ALLOWED},
          {"203.0.113.10", 0, TURN_PEER_ALLOWED} /* CreatePermission */,
          {"203.0.113.10", 30000, TURN_PEER_OWN}, {"203.0.113.10", 443, TURN_PEER_OWN},
          {"203.0.113.10", 2222, TURN_PEER_SERVICE}, {"10.0.0.36", 24001, TURN_PEER_ALLOWED},
          {"10.0.0.36", 3478, TURN_PEER_SERVICE}, {"::ffff:10.0.0.36", 3478, TURN_PEER_SERVICE},
          {"2002:a00:24::", 3478, TURN_PEER_NEVER}, {"10.0.0.36", 5000, TURN_PEER_OWN},
          {"172.16.0.36", 5000, TURN_PEER_OWN}, {"172.16.0.36", 2222, TURN_PEER_SERVICE},
          {"2001:db8::36", 3478, TURN_PEER_SERVICE}, {"2001:db8::36", 24005, TURN_PEER_ALLOWED},
          {"2001:db8::36", 80, TURN_PEER_OWN});
}
END_TEST

/* A bridge on the same box: its address may be allowed, its services stay closed. */
START_TEST(test_own_address_allowed)
{
    struct netaddr a;
    make_policy();
    add("172.16.0.36/32", &config.allow_peers, &config.n_allow_peers);
    turn_policy_free(policy);
    policy = turn_policy_new(&config, NULL, 0);
    a = address("172.16.0.36:5000");
    ck_assert_int_eq(turn_policy_judge(policy, &a), TURN_PEER_ALLOWED);
    a = address("172.16.0.36:2222");
    ck_assert_int_eq(turn_policy_judge(policy, &a), TURN_PEER_SERVICE);
    free_policy();
}
END_TEST

/* A network that is allowed for the bridges' sake and has this box in it, too, opens nothing of the box. */
START_TEST(test_own_address_in_an_allowed_network)
{
    struct netaddr a;
    make_policy();
    add("172.16.0.0/16", &config.allow_peers, &config.n_allow_peers);
    add("172.16.0.36/31", &config.allow_peers, &config.n_allow_peers);
    add("2001:db8::/64", &config.allow_peers, &config.n_allow_peers);
    turn_policy_free(policy);
    policy = turn_policy_new(&config, NULL, 0);
    a = address("172.16.0.36:161");
    ck_assert_int_eq(turn_policy_judge(policy, &a), TURN_PEER_OWN);
    a = address("172.16.0.37:161");
    ck_assert_int_eq(turn_policy_judge(policy, &a), TURN_PEER_ALLOWED);
    a = address("[2001:db8::36]:161");
    ck_assert_int_eq(turn_policy_judge(policy, &a), TURN_PEER_OWN);
    a = address("[2001:db8::36]:24000");
    ck_assert_int_eq(turn_policy_judge(policy, &a), TURN_PEER_ALLOWED);
    free_policy();
}
END_TEST

START_TEST(test_never_of_networks)
{
    static const struct {
        const char *cidr;
        bool never;
    } rows[] = {
        {"127.0.0.0/8", true}, {"127.0.0.1", true},      {"0.0.0.0/0", false}, {"10.0.0.0/8", false},
        {"::1", true},         {"fe80::/64", true},      {"::/0", false},      {"169.254.0.0/16", true},
        {"ff02::/16", true},   {"255.255.255.255", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct netcidr net;
        ck_assert_int_eq(netcidr_parse(rows[i].cidr, &net), ERR_OK);
        ck_assert_msg((turn_policy_never(&net) != NULL) == rows[i].never, "%s", rows[i].cidr);
    }
}
END_TEST

START_TEST(test_other_edges_by_their_relay_ports)
{
    JUDGE({"192.168.7.7", 0, TURN_PEER_ALLOWED}, {"192.168.7.7", 24000, TURN_PEER_ALLOWED},
          {"192.168.7.7", 29999, TURN_PEER_ALLOWED}, {"192.168.7.7", 30000, TURN_PEER_CLUSTER},
          {"192.168.7.7", 3478, TURN_PEER_CLUSTER}, {"192.168.7.7", 161, TURN_PEER_CLUSTER},
          {"64:ff9b::192.168.7.7", 3478, TURN_PEER_CLUSTER});
}
END_TEST

START_TEST(test_where_the_port_counts)
{
    static const struct {
        const char *ip;
        bool counts;
    } rows[] = {{"203.0.113.10", true},          {"10.0.0.36", true},
                {"192.168.7.7", true},           {"198.51.100.1", false},
                {"2001:db8::36", true},          {"2001:db8::37", false},
                {"64:ff9b::203.0.113.10", true}, {"64:ff9b::198.51.100.1", false}};
    make_policy();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct netaddr a = address(rows[i].ip);
        ck_assert_msg(turn_policy_port_counts(policy, &a) == rows[i].counts, "%s", rows[i].ip);
    }
    free_policy();
}
END_TEST

UNIT_MAIN("turn_policy", test_never, test_every_notation_of_loopback_and_private,
          test_every_notation_of_metadata, test_every_notation_of_lists,
          test_own_address_in_an_allowed_network, test_private_unless_allowed, test_edges_of_ranges,
          test_own_addresses, test_own_address_allowed, test_never_of_networks,
          test_other_edges_by_their_relay_ports, test_where_the_port_counts)
