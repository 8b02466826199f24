/* Authentication and what is refused before a method looks at it: RFC 8489 §6.3, §9.2.4. */
#include "tests/unit/turn_fixture.h"

static struct fixture f;

START_TEST(test_binding_needs_no_credentials)
{
    struct netaddr mapped, six;
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_MAPPED_ADDRESS, &mapped), ERR_OK);
    ck_assert(netaddr_equal(&mapped, &f.client.address));
    ck_assert_uint_le(f.answer_size * 5, 20 * 8); /* 1.6 times the request */
    fixture_client(&f, "[2001:db8::5]:6000");
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_MAPPED_ADDRESS, &six), ERR_OK);
    ck_assert(netaddr_equal(&six, &f.client.address));
    fixture_stop(&f);
}
END_TEST

START_TEST(test_binding_authenticated_or_off)
{
    fixture_start(&f, "\"binding\":\"authenticated\"");
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_plain(&f), 401);
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_stop(&f);
    fixture_start(&f, "\"binding\":\"off\"");
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_plain(&f), 403);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_challenge_and_answer)
{
    struct stun_key key;
    uint8_t nonce[STUN_NONCE_TEXT];
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    ck_assert_int_eq(fixture_plain(&f), 401);
    ck_assert(!stun_has(&f.answer, STUN_MESSAGE_INTEGRITY));
    ck_assert(!stun_has(&f.answer, STUN_SOFTWARE));
    struct stun_value v = stun_get(&f.answer, STUN_REALM);
    ck_assert_mem_eq(v.at, "example.org", v.len);
    v = stun_get(&f.answer, STUN_NONCE);
    ck_assert_uint_eq(v.len, sizeof nonce);
    memcpy(nonce, v.at, sizeof nonce);

    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, STUN_USERNAME, "alice", 5);
    stun_put(&f.writer, STUN_REALM, "example.org", 11);
    stun_put(&f.writer, STUN_NONCE, nonce, sizeof nonce);
    stun_long_term_key(STUN_ALGORITHM_MD5, "alice", "example.org", "apple", &key);
    stun_put_integrity(&f.writer, key.bytes, key.len);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert(stun_check_integrity(&f.answer, key.bytes, key.len));
    fixture_stop(&f);
}
END_TEST

/* facts: wrong password is 401 and not 400; so is an unknown user, and a realm that is not ours */
START_TEST(test_wrong_credentials)
{
    fixture_start(&f, "");
    f.password = "wrong";
    ck_assert_int_eq(fixture_allocate(&f), 401);
    ck_assert(stun_has(&f.answer, STUN_NONCE));
    f.user = "mallory";
    f.password = "";
    ck_assert_int_eq(fixture_allocate(&f), 401);
    f.user = "%s%n'; DROP TABLE users; --";
    ck_assert_int_eq(fixture_allocate(&f), 401);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

/* The key that stands in for an unknown user opens nothing. */
START_TEST(test_zero_key_of_unknown_user)
{
    static const uint8_t zero[STUN_KEY_MD5];
    char nonce[STUN_NONCE_TEXT];
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_nonce_make(f.server->config.nonce_key, f.server->wall, &f.client.address, &f.server->offer, nonce);
    stun_put(&f.writer, STUN_USERNAME, "mallory", 7);
    stun_put(&f.writer, STUN_REALM, "example.org", 11);
    stun_put(&f.writer, STUN_NONCE, nonce, sizeof nonce);
    stun_put_integrity(&f.writer, zero, sizeof zero);
    ck_assert_int_eq(fixture_plain(&f), 401);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_missing_parts_are_400)
{
    static const enum stun_attr parts[] = {STUN_USERNAME, STUN_REALM, STUN_NONCE};
    fixture_start(&f, "");
    for (size_t missing = 0; missing < 3; missing++) {
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        for (size_t i = 0; i < 3; i++)
            if (i != missing)
                stun_put(&f.writer, parts[i], "alice", 5);
        stun_put_integrity(&f.writer, (const uint8_t *)"key", 3);
        ck_assert_int_eq(fixture_plain(&f), 400);
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(test_stale_and_forged_nonce_are_438)
{
    uint32_t wall = FIXTURE_WALL;
    fixture_start(&f, "\"lifetime\":{\"nonce\":60}");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    fixture_sign(&f);
    fixture_pass(&f, 61);
    ck_assert_int_eq(fixture_plain(&f), 438);
    struct stun_value fresh = stun_get(&f.answer, STUN_NONCE);
    ck_assert_int_eq(stun_nonce_check(f.server->config.nonce_key, wall + 61, 60, &f.client.address,
                                      &f.server->offer, (struct stun_value){0}, fresh),
                     ERR_OK);
    ck_assert(stun_has(&f.answer, STUN_REALM));

    struct stun_key key;
    stun_long_term_key(STUN_ALGORITHM_MD5, "alice", "example.org", "apple", &key);
    for (int wrong = 0; wrong < 2; wrong++) {
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        stun_put(&f.writer, STUN_USERNAME, "alice", 5);
        stun_put(&f.writer, STUN_REALM, "example.org", 11);
        stun_put(&f.writer, STUN_NONCE, "forged nonce 123", 16);
        stun_put_integrity(&f.writer, key.bytes, key.len - (size_t)wrong);
        /* the password is looked at first, RFC 8489 §9.2.4 */
        ck_assert_int_eq(fixture_plain(&f), wrong ? 401 : 438);
        ck_assert(!stun_has(&f.answer, STUN_MESSAGE_INTEGRITY));
    }
    fixture_stop(&f);
}
END_TEST

/* A nonce is of no use at another address. */
START_TEST(test_nonce_of_another_client)
{
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    fixture_sign(&f);
    fixture_client(&f, "192.0.2.99:5000");
    ck_assert_int_eq(fixture_plain(&f), 438);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_unknown_attribute_is_420_with_the_list)
{
    static const uint8_t unknown[] = {0x70, 0x01, 0, 0, 0x70, 0x02, 0, 0};
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_BINDING);
    wire_put_bytes(&f.writer.wire, unknown, sizeof unknown);
    ck_assert_int_eq(fixture_plain(&f), 420);
    struct stun_value v = stun_get(&f.answer, STUN_UNKNOWN_ATTRIBUTES);
    ck_assert_uint_eq(v.len, 4);
    ck_assert_mem_eq(v.at, "\x70\x01\x70\x02", 4);
    /* with credentials: after authentication */
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    wire_put_bytes(&f.writer.wire, unknown, sizeof unknown);
    ck_assert_int_eq(fixture_plain(&f), 401);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    wire_put_bytes(&f.writer.wire, unknown, sizeof unknown);
    ck_assert_int_eq(fixture_request(&f), 420);
    /* optional ones are passed over */
    fixture_begin(&f, STUN_METHOD_BINDING);
    wire_put_bytes(&f.writer.wire, "\xff\x01\0\0", 4);
    ck_assert_int_eq(fixture_plain(&f), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_attribute_of_wrong_size_is_400)
{
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put(&f.writer, STUN_REQUESTED_TRANSPORT, "\x11\0", 2);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_begin(&f, STUN_METHOD_ALLOCATE); /* also when the attribute is optional */
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    stun_put(&f.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, "\2", 1);
    ck_assert_int_eq(fixture_request(&f), 400);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_without_allocation_is_437)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_refresh(&f, 600), 437);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 437);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1000"), 437);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_another_user_is_441)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(fixture_refresh(&f, 0), 441);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 441);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1000"), 441);
    ck_assert_uint_eq(f.relays_open, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_fingerprint)
{
    size_t n;
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_BINDING);
    stun_put_fingerprint(&f.writer);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert(stun_has(&f.answer, STUN_FINGERPRINT)); /* whoever sends one gets one */
    ck_assert(stun_check_fingerprint(&f.answer));
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert(!stun_has(&f.answer, STUN_FINGERPRINT));
    fixture_begin(&f, STUN_METHOD_BINDING);
    stun_put_fingerprint(&f.writer);
    ck_assert_int_eq(stun_end(&f.writer, &n), ERR_OK);
    f.request[n - 1] ^= 1;
    ck_assert(!fixture_deliver(&f, f.request, n));
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_fingerprint], 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_software_only_in_authenticated_answers)
{
    fixture_start(&f, "\"software\":\"Stile\"");
    fixture_begin(&f, STUN_METHOD_BINDING);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert(!stun_has(&f.answer, STUN_SOFTWARE));
    ck_assert_int_eq(fixture_allocate(&f), 0);
    struct stun_value v = stun_get(&f.answer, STUN_SOFTWARE);
    ck_assert_uint_eq(v.len, 5);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_what_gets_no_answer)
{
    fixture_start(&f, "");
    fixture_begin(&f, 0x0ff); /* no such method */
    ck_assert_int_eq(fixture_plain(&f), -1);
    fixture_begin_class(&f, STUN_METHOD_BINDING, STUN_SUCCESS);
    ck_assert_int_eq(fixture_plain(&f), -1);
    fixture_begin_class(&f, STUN_METHOD_BINDING, STUN_INDICATION);
    ck_assert_int_eq(fixture_plain(&f), -1);
    fixture_begin_class(&f, STUN_METHOD_ALLOCATE, STUN_INDICATION);
    ck_assert_int_eq(fixture_plain(&f), -1);
    ck_assert(!fixture_deliver(&f, "\0\1\0\4\x21\x12\xa4\x42............", 20));
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_unexpected], 3);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_malformed], 1);
    fixture_stop(&f);
}
END_TEST

/* What one address gets unasked for is bounded; others are not affected; it comes back. */
START_TEST(test_challenges_are_limited)
{
    unsigned answered = 0;
    fixture_start(&f, "");
    for (int i = 0; i < 3000; i++) {
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        answered += fixture_plain(&f) == 401;
    }
    ck_assert_uint_gt(answered, 300);
    ck_assert_uint_lt(answered, 2000);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_limited], 3000 - answered);
    fixture_client(&f, "192.0.2.2:5000");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    ck_assert_int_eq(fixture_plain(&f), 401);
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0); /* with credentials there is no limit */
    fixture_pass(&f, 1);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    ck_assert_int_eq(fixture_plain(&f), 401);
    f.client.verified = true; /* a stream: the address is real */
    for (int i = 0; i < 2000; i++) {
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        ck_assert_int_eq(fixture_plain(&f), 401);
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(test_flood_allocates_nothing)
{
    fixture_start(&f, "");
    for (unsigned i = 0; i < 20000; i++) {
        char text[40];
        snprintf(text, sizeof text, "198.%u.%u.%u:%u", 51 + i % 40, i / 256 % 256, i % 256, 1024 + i);
        fixture_client(&f, text);
        fixture_begin(&f, STUN_METHOD_ALLOCATE);
        ck_assert_int_eq(fixture_plain(&f), 401);
    }
    ck_assert_uint_eq(f.server->allocations.count, 0);
    ck_assert_uint_eq(turn_shared_total(f.server->shared), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_reconfigure)
{
    char why[200];
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    struct turn_config c =
        fixture_config("\"users\":[{\"name\":\"bob\",\"password\":\"berry\"}],\"deny_peers\":"
                       "[\"198.51.100.0/24\"]");
    ck_assert_int_eq(turn_server_reconfigure(f.server, &c, why, sizeof why), ERR_OK);
    ck_assert_uint_eq(f.relays_open, 1);             /* the call goes on */
    ck_assert_int_eq(fixture_refresh(&f, 600), 401); /* but not for ever */
    fixture_client(&f, "192.0.2.2:5000");
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(fixture_allocate(&f), 401);
    f.password = "berry";
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 403);
    c = fixture_config("\"relay_ports\":[25000,26000]");
    ck_assert_int_eq(turn_server_reconfigure(f.server, &c, why, sizeof why), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "relay_ports"));
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 403);
    fixture_pass(&f, 700);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_request", test_binding_needs_no_credentials, test_binding_authenticated_or_off,
          test_challenge_and_answer, test_wrong_credentials, test_zero_key_of_unknown_user,
          test_missing_parts_are_400, test_stale_and_forged_nonce_are_438, test_nonce_of_another_client,
          test_unknown_attribute_is_420_with_the_list, test_attribute_of_wrong_size_is_400,
          test_without_allocation_is_437, test_another_user_is_441, test_fingerprint,
          test_software_only_in_authenticated_answers, test_what_gets_no_answer, test_challenges_are_limited,
          test_flood_allocates_nothing, test_reconfigure)
