#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_config.h"
#include "tests/unit/unit.h"

static enum err read_config(const char *text, struct turn_config *c, char why[200])
{
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json != NULL, "bad JSON in the test: %s", text);
    why[0] = '\0';
    enum err e = turn_config_from_json(json, c, why, 200);
    json_decref(json);
    return e;
}

START_TEST(test_defaults)
{
    struct turn_config c;
    char why[200];
    ck_assert_int_eq(read_config("{\"realm\":\"r\",\"relays\":[{\"bind\":\"10.0.0.1\"}]}", &c, why), ERR_OK);
    ck_assert_str_eq(c.realm, "r");
    ck_assert_ptr_null(c.software);
    ck_assert_uint_eq(c.port_min, 24000);
    ck_assert_uint_eq(c.port_max, 29999);
    ck_assert(netaddr_equal_ip(&c.relays[0].bind, &c.relays[0].advertised));
    ck_assert_uint_eq(c.lifetime_default, 600);
    ck_assert(!c.channels_rfc5766);
    ck_assert(!c.gso_off);
    ck_assert_uint_eq(c.n_shared_secrets, 0);
    ck_assert_uint_eq(c.algorithms[0], STUN_ALGORITHM_SHA256);
    ck_assert_uint_eq(c.algorithms[1], STUN_ALGORITHM_MD5);
    turn_config_free(&c);
}
END_TEST

START_TEST(test_round_trip)
{
    static const char text[] =
        "{\"realm\":\"join.example.com\",\"software\":\"Stile 1\","
        "\"users\":[{\"name\":\"a\",\"key\":\"000102030405060708090a0b0c0d0e0f\"},"
        "{\"name\":\"b\",\"key\":\"ff0102030405060708090a0b0c0d0e0f\",\"key_sha256\":"
        "\"ee000000000000000000000000000000000000000000000000000000000000ff\"}],"
        "\"shared_secrets\":[\"new\",\"old\"],\"password_algorithms\":[\"md5\",\"sha256\"],"
        "\"relays\":[{\"bind\":\"10.0.0.36\",\"advertised\":\"203.0.113.10\"},{\"bind\":\"2001:db8::1\","
        "\"advertised\":\"2001:db8::1\"}],"
        "\"relay_ports\":[30000,30999],\"allow_peers\":[\"10.0.0.0/8\"],\"deny_peers\":[\"198.51.100.0/24\"],"
        "\"own_addresses\":[\"10.0.0.36\",\"0.0.0.0:22\"],\"cluster_addresses\":[\"203.0.113.11/32\"],"
        "\"cluster_ports\":[20000,20999],"
        "\"quota\":{\"total\":9,\"user\":8,\"address\":7,\"permissions\":6,\"channels\":5,"
        "\"connections\":4,\"user_connections\":3,"
        "\"allocation_kbps\":4000,\"user_kbps\":20000,\"challenges\":32},"
        "\"connections\":{\"address\":11,\"handshakes\":12,\"address_handshakes\":13,\"unproven\":77},"
        "\"lifetime\":{\"default\":700,\"longest\":800,\"nonce\":900},"
        "\"tcp_relays\":false,\"alternate_servers\":[\"203.0.113.11\",\"[2001:db8::11]:3478\"],"
        "\"alternate_domain\":\"join.example.com\",\"channel_numbers\":\"rfc5766\",\"binding\":"
        "\"authenticated\",\"gso\":\"off\","
        "\"nonce_key\":\"00000000000000000000000000000000000000000000000000000000000000ff\","
        "\"worker\":{\"index\":1,\"count\":4}}";
    struct turn_config c;
    char why[200];
    ck_assert_msg(read_config(text, &c, why) == ERR_OK, "%s", why);
    json_t *before = json_loads(text, 0, NULL), *after = turn_config_to_json(&c);
    ck_assert(json_equal(before, after));
    ck_assert_uint_eq(c.own_addresses[1].port, 22);
    ck_assert_uint_eq(c.users[1].key[0], 0xff);
    ck_assert_uint_eq(c.users[1].key_sha256[0], 0xee);
    ck_assert(c.users[1].has_sha256 && !c.users[0].has_sha256);
    ck_assert_uint_eq(c.n_shared_secrets, 2);
    ck_assert_str_eq(c.shared_secrets[1], "old");
    ck_assert_uint_eq(c.n_algorithms, 2);
    ck_assert_uint_eq(c.algorithms[0], STUN_ALGORITHM_MD5);
    json_decref(before);
    json_decref(after);
    turn_config_free(&c);
}
END_TEST

START_TEST(test_password_becomes_key)
{
    /* RFC 7616 has no vector for this form; these are MD5 and SHA-256 of "user:realm:pass". */
    static const uint8_t key[] = {0x84, 0x93, 0xfb, 0xc5, 0x3b, 0xa5, 0x82, 0xfb,
                                  0x4c, 0x04, 0x4c, 0x45, 0x6b, 0xdc, 0x40, 0xeb};
    static const uint8_t key_sha256[] = {0x07, 0xe9, 0x34, 0x11, 0x7a, 0xbd, 0x40, 0x83, 0x6e, 0x7c, 0x63,
                                         0x29, 0xb5, 0x47, 0x31, 0xb2, 0xb2, 0xd2, 0xa5, 0xf9, 0xa7, 0x1f,
                                         0x54, 0x49, 0x22, 0xd7, 0x5e, 0x07, 0x30, 0xd8, 0x25, 0x1b};
    struct turn_config c;
    char why[200];
    ck_assert_int_eq(read_config("{\"realm\":\"realm\",\"users\":[{\"name\":\"user\",\"password\":\"pass\"}],"
                                 "\"relays\":[{\"bind\":\"10.0.0.1\"}]}",
                                 &c, why),
                     ERR_OK);
    ck_assert_mem_eq(c.users[0].key, key, sizeof key);
    ck_assert(c.users[0].has_sha256);
    ck_assert_mem_eq(c.users[0].key_sha256, key_sha256, sizeof key_sha256);
    json_t *json = turn_config_to_json(&c);
    char *text = json_dumps(json, 0);
    ck_assert_ptr_null(strstr(text, "pass\""));
    free(text);
    json_decref(json);
    turn_config_free(&c);
}
END_TEST

/* What people type is brought into the form that clients use, RFC 8489 §9.2.2. */
START_TEST(test_names_and_passwords_are_made_ready)
{
    struct turn_config c;
    turn_config_init(&c);
    ck_assert_int_eq(turn_config_set_realm(&c, "my\u00a0realm"), ERR_OK);
    ck_assert_str_eq(c.realm, "my realm");
    ck_assert_int_eq(turn_config_add_user(&c, "a\u3000b", "c\u2003d"), ERR_OK);
    ck_assert_int_eq(turn_config_add_user(&c, "a b", "c d"), ERR_OK);
    ck_assert_str_eq(c.users[0].name, "a b");
    ck_assert_mem_eq(c.users[0].key, c.users[1].key, sizeof c.users[0].key);
    ck_assert_mem_eq(c.users[0].key_sha256, c.users[1].key_sha256, sizeof c.users[0].key_sha256);
    ck_assert_int_eq(turn_config_add_user(&c, "a\nb", "c"), ERR_CONFIG);
    ck_assert_int_eq(turn_config_add_user(&c, "a", "c\td"), ERR_CONFIG);
    ck_assert_int_eq(turn_config_add_user(&c, "a", ""), ERR_CONFIG);
    ck_assert_int_eq(turn_config_add_user(&c, "\xff", "c"), ERR_CONFIG);
    ck_assert_int_eq(turn_config_add_keys(&c, "\x7f", c.users[0].key, NULL), ERR_CONFIG);
    ck_assert_int_eq(turn_config_set_realm(&c, "a\nb"), ERR_CONFIG);
    ck_assert_uint_eq(c.n_users, 2);
    turn_config_free(&c);
}
END_TEST

START_TEST(test_errors_name_the_key)
{
    static const struct {
        const char *members, *words;
    } rows[] = {
        {"\"relays\":[]", "relays"},
        {"\"relays\":[{\"bind\":\"0.0.0.0\"}]", "any-address"},
        {"\"relays\":[{\"bind\":\"10.0.0.1\",\"advertised\":\"2001:db8::1\"}]", "family"},
        {"\"relays\":[{\"bind\":\"10.0.0.1\"},{\"bind\":\"10.0.0.1\"}]", "twice"},
        {"\"relays\":[{\"bind\":\"ten\"}]", "relays.bind"},
        {"\"relay_ports\":[30000]", "relay_ports"},
        {"\"relay_ports\":[30000,29999]", "relay_ports"},
        {"\"relay_ports\":[80,29999]", "relay_ports"},
        {"\"cluster_ports\":[30000,29999]", "cluster_ports"},
        {"\"allow_peers\":[\"10.0.0.0/33\"]", "allow_peers"},
        {"\"allow_peers\":[\"127.0.0.0/8\"]", "loopback"},
        {"\"allow_peers\":[\"169.254.169.254/32\"]", "link-local"},
        {"\"allow_peers\":[7]", "allow_peers"},
        {"\"users\":[{\"name\":\"a\",\"key\":\"00\"}]", "users.key"},
        {"\"users\":[{\"name\":\"a\",\"key\":\"000102030405060708090a0b0c0d0e0f\",\"key_sha256\":\"00\"}]",
         "users.key_sha256"},
        {"\"users\":[{\"name\":\"a\",\"key_sha256\":\"00\"}]", "needs a name, and its keys"},
        {"\"users\":[{\"name\":\"a\",\"password\":\"x\",\"key\":\"00\"}]", "users"},
        {"\"shared_secrets\":\"s\"", "shared_secrets"},
        {"\"shared_secrets\":[\"\"]", "shared_secrets"},
        {"\"shared_secrets\":[7]", "shared_secrets"},
        {"\"shared_secrets\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]", "up to 8"},
        {"\"password_algorithms\":[]", "password_algorithms"},
        {"\"password_algorithms\":[\"sha1\"]", "password_algorithms"},
        {"\"password_algorithms\":[\"md5\",\"md5\"]", "twice"},
        {"\"password_algorithms\":[\"md5\",\"sha256\",\"md5\"]", "password_algorithms"},
        {"\"users\":[{\"name\":\"\",\"password\":\"x\"}]", "users"},
        {"\"users\":[{\"name\":\"a\",\"password\":\"x\"},{\"name\":\"a\",\"password\":\"y\"}]", "twice"},
        {"\"quota\":{\"seats\":1}", "quota.seats"},
        {"\"quota\":{\"user\":-1}", "quota.user"},
        {"\"quota\":{\"permissions\":0}", "quota.permissions"},
        {"\"quota\":{\"challenges\":0}", "quota.challenges"},
        {"\"connections\":{\"handshakes\":0}", "connections"},
        {"\"connections\":{\"each\":1}", "connections.each"},
        {"\"lifetime\":{\"default\":4000}", "lifetime"},
        {"\"channel_numbers\":\"all\"", "channel_numbers"},
        {"\"gso\":\"on\"", "gso"},
        {"\"binding\":true", "binding"},
        {"\"nonce_key\":\"zz\"", "nonce_key"},
        {"\"worker\":{\"index\":2,\"count\":2}", "worker"},
        {"\"colour\":\"red\"", "colour"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct turn_config c;
        char text[500], why[200];
        snprintf(text, sizeof text, "{\"realm\":\"r\",%s%s}", rows[i].members,
                 strstr(rows[i].members, "relays") ? "" : ",\"relays\":[{\"bind\":\"10.0.0.1\"}]");
        ck_assert_msg(read_config(text, &c, why) == ERR_CONFIG, "%s", text);
        ck_assert_msg(strstr(why, rows[i].words) != NULL, "%s: %s", text, why);
    }
    struct turn_config c;
    char why[200];
    ck_assert_int_eq(read_config("{\"relays\":[{\"bind\":\"10.0.0.1\"}]}", &c, why), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "realm"));
}
END_TEST

UNIT_MAIN("turn_config", test_defaults, test_round_trip, test_password_becomes_key,
          test_names_and_passwords_are_made_ready, test_errors_name_the_key)
