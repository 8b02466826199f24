/*
 * Rules of RFC 8489 and RFC 8656 that no other test of this folder has in its name. docs/turn-conformance.md
 * lists all of them, with the test of each.
 */
#include "edge/turn/turn_allocation.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;

static void begin_allocate(void)
{
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
}

static int allocate_with(enum stun_attr a, const void *value, size_t n)
{
    begin_allocate();
    stun_put(&f.writer, a, value, n);
    return fixture_request(&f);
}

static void start_allocated(const char *extra)
{
    fixture_start(&f, extra);
    ck_assert_int_eq(fixture_allocate(&f), 0);
}

/* Dual stack for clients of either family. */
static void start_dual(const char *client)
{
    fixture_start(&f, "");
    fixture_client(&f, client);
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
}

/* RFC 8489
 * --------------------------------------------------------------------------------------------------- */

/* §5 */
START_TEST(test_indications_have_transactions_of_their_own)
{
    uint8_t first[STUN_TRANSACTION];
    for (int server = 0; server < 2; server++) {
        start_allocated("");
        ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
        fixture_from_peer(&f, "198.51.100.1:1", "x", 1);
        if (server == 1)
            ck_assert_mem_ne(f.to_client + 8, first, sizeof first); /* they begin anywhere */
        memcpy(first, f.to_client + 8, sizeof first);
        fixture_from_peer(&f, "198.51.100.1:1", "x", 1);
        ck_assert_mem_ne(f.to_client + 8, first, sizeof first);
        fixture_stop(&f);
    }
}
END_TEST

/* §6.1: with the longest names; 576 bytes less the headers of IPv4 and UDP */
START_TEST(test_answers_fit_any_path)
{
    char extra[400];
    enum { PATH = 548 };
    snprintf(extra, sizeof extra, "\"software\":\"%0127d\"", 7);
    fixture_start(&f, extra);
    free(f.server->config.realm);
    f.server->config.realm = strdup("0123456789012345678901234567890123456789012345678901234567890123"
                                    "012345678901234567890123456789012345678901234567890123456789012");
    fixture_client(&f, "[2001:db8:5::9]:1234");
    begin_allocate();
    stun_put_fingerprint(&f.writer);
    ck_assert_int_eq(fixture_plain(&f), 401);
    ck_assert_uint_le(f.answer_size, PATH);
    fixture_stop(&f);
    fixture_start(&f, extra);
    fixture_client(&f, "[2001:db8:5::9]:1234");
    begin_allocate();
    for (unsigned i = 0; i < 2 * STUN_UNKNOWN_MAX; i++)
        wire_put_bytes(&f.writer.wire, (uint8_t[]){0x70, (uint8_t)i, 0, 0}, 4);
    ck_assert_int_eq(fixture_request(&f), 420);
    ck_assert_uint_le(f.answer_size, PATH);
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    ck_assert_uint_le(f.answer_size, PATH);
    fixture_stop(&f);
}
END_TEST

/* §6.3.1.1: method of the request, class error, a code, and a phrase for who has authenticated */
START_TEST(test_errors_carry_method_code_and_reason)
{
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_REFRESH);
    ck_assert_int_eq(fixture_request(&f), 437);
    ck_assert_uint_eq(f.answer.method, STUN_METHOD_REFRESH);
    ck_assert_uint_eq(f.answer.class, STUN_ERROR);
    struct stun_value v = stun_get(&f.answer, STUN_ERROR_CODE);
    ck_assert_uint_eq(v.len, 4 + strlen("Allocation Mismatch"));
    ck_assert_mem_eq(v.at,
                     "\0\0\4\x25"
                     "Allocation Mismatch",
                     v.len);
    fixture_begin(&f, STUN_METHOD_REFRESH);
    ck_assert_int_eq(fixture_plain(&f), 401);
    ck_assert_uint_eq(f.answer.method, STUN_METHOD_REFRESH);
    fixture_stop(&f);
}
END_TEST

/* §6.3: an attribute that has no business in a request is passed over */
START_TEST(test_known_but_unexpected_is_ignored)
{
    struct netaddr a = address("198.51.100.7:7");
    start_allocated("");
    fixture_begin(&f, STUN_METHOD_REFRESH);
    stun_put_u32(&f.writer, STUN_CHANNEL_NUMBER, 0x40010000);
    stun_put_xor_address(&f.writer, STUN_XOR_MAPPED_ADDRESS, &a);
    stun_put(&f.writer, STUN_EVEN_PORT, "\x80", 1);
    stun_put_error(&f.writer, STUN_ERROR_CODE, 508, "no");
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_begin(&f, STUN_METHOD_BINDING);
    stun_put_u32(&f.writer, STUN_LIFETIME, 7);
    ck_assert_int_eq(fixture_plain(&f), 0);
    ck_assert_uint_eq(f.server->channels.count, 0);
    fixture_stop(&f);
}
END_TEST

/* §6.3.1; RFC 8656 §5: what came twice is answered twice and done once */
START_TEST(test_retransmissions_change_nothing)
{
    uint8_t first[4096];
    size_t n;
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(stun_end(&f.writer, &n), ERR_OK);
    memcpy(first, f.request, n);
    ck_assert(fixture_deliver(&f, first, n));
    ck_assert_uint_eq(f.answer.class, STUN_SUCCESS);
    ck_assert_uint_eq(f.server->permissions.count, 1);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(stun_end(&f.writer, &n), ERR_OK);
    memcpy(first, f.request, n);
    ck_assert(fixture_deliver(&f, first, n));
    ck_assert_uint_eq(f.answer.class, STUN_SUCCESS);
    ck_assert_uint_eq(f.server->channels.count, 1);
    ck_assert_int_eq(fixture_refresh(&f, 900), 0);
    ck_assert_int_eq(stun_end(&f.writer, &n), ERR_OK);
    memcpy(first, f.request, n);
    ck_assert(fixture_deliver(&f, first, n));
    ck_assert_uint_eq(f.answer.class, STUN_SUCCESS);
    ck_assert_uint_eq(f.relays_open, 1);
    fixture_stop(&f);
}
END_TEST

/* §9.2.4: who failed to authenticate is told no identity, and nothing is signed */
START_TEST(test_challenges_carry_no_identity)
{
    static const enum stun_attr absent[] = {STUN_USERNAME, STUN_MESSAGE_INTEGRITY};
    fixture_start(&f, "");
    begin_allocate();
    ck_assert_int_eq(fixture_plain(&f), 401);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        ck_assert(!stun_has(&f.answer, absent[i]));
    f.password = "wrong";
    ck_assert_int_eq(fixture_allocate(&f), 401);
    ck_assert(stun_has(&f.answer, STUN_REALM));
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        ck_assert(!stun_has(&f.answer, absent[i]));
    begin_allocate();
    stun_put(&f.writer, STUN_USERNAME, "alice", 5);
    stun_put_integrity(&f.writer, (const uint8_t *)"key", 3);
    ck_assert_int_eq(fixture_plain(&f), 400);
    ck_assert(!stun_has(&f.answer, STUN_REALM));
    ck_assert(!stun_has(&f.answer, STUN_NONCE));
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        ck_assert(!stun_has(&f.answer, absent[i]));
    fixture_stop(&f);
}
END_TEST

/* §9.2.4: a success to an authenticated request has its integrity, and neither name nor nonce */
START_TEST(test_successes_carry_integrity_only)
{
    start_allocated("");
    ck_assert(stun_has(&f.answer, STUN_MESSAGE_INTEGRITY));
    ck_assert(!stun_has(&f.answer, STUN_USERNAME));
    ck_assert(!stun_has(&f.answer, STUN_REALM));
    ck_assert(!stun_has(&f.answer, STUN_NONCE));
    fixture_stop(&f);
}
END_TEST

/* §14: padding may be anything when it comes, and is zero when it goes */
START_TEST(test_padding)
{
    size_t n;
    fixture_start(&f, "\"software\":\"Stile\"");
    begin_allocate();
    wire_put_bytes(&f.writer.wire, "\0\x18\0\1\0\xde\xad\xbe", 8); /* EVEN-PORT with padding */
    fixture_sign(&f);
    ck_assert_int_eq(fixture_plain(&f), 0);
    struct stun_value v = stun_get(&f.answer, STUN_SOFTWARE);
    ck_assert_uint_eq(v.len, 5);
    ck_assert_mem_eq(v.at + v.len, "\0\0\0", 3);
    ck_assert_int_eq(stun_end(&f.writer, &n), ERR_OK);
    fixture_stop(&f);
}
END_TEST

/* §14.1, §14.2: the first byte of an address says nothing, and is zero when it goes; families are 1 and 2 */
START_TEST(test_first_byte_of_addresses)
{
    uint8_t value[8];
    start_allocated("");
    ck_assert_uint_eq(stun_get(&f.answer, STUN_XOR_RELAYED_ADDRESS).at[0], 0);
    ck_assert_uint_eq(stun_get(&f.answer, STUN_XOR_RELAYED_ADDRESS).len, 8);
    memcpy(value, "\xff\1\x33\x33\xe7\x21\xc0\x43", sizeof value); /* 198.51.100.1 under the cookie */
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put(&f.writer, STUN_XOR_PEER_ADDRESS, value, sizeof value);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_send(&f, "198.51.100.1:9", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    value[1] = 3;
    fixture_begin(&f, STUN_METHOD_CREATE_PERMISSION);
    stun_put(&f.writer, STUN_XOR_PEER_ADDRESS, value, sizeof value);
    ck_assert_int_ne(fixture_request(&f), 0);
    fixture_stop(&f);
}
END_TEST

/* §14.3: names of up to 763 bytes are read; ours are shorter, so it is an unknown user and no malformed
 * request */
START_TEST(test_longest_username_is_read)
{
    static char name[764];
    fixture_start(&f, "");
    memset(name, 'a', 763);
    f.user = name;
    ck_assert_int_eq(fixture_allocate(&f), 401);
    fixture_stop(&f);
}
END_TEST

/* §14.9, §14.14: realm and software are shorter than 128 characters */
START_TEST(test_realm_and_software_are_short)
{
    char text[200], why[200];
    struct turn_config c;
    turn_config_init(&c);
    memset(text, 'r', sizeof text);
    text[128] = 0;
    ck_assert_int_eq(turn_config_set_realm(&c, text), ERR_CONFIG);
    text[127] = 0;
    ck_assert_int_eq(turn_config_set_realm(&c, text), ERR_OK);
    turn_config_free(&c);
    c = fixture_config("");
    free(c.software);
    c.software = strdup("0123456789012345678901234567890123456789012345678901234567890123"
                        "0123456789012345678901234567890123456789012345678901234567890123");
    ck_assert_uint_eq(strlen(c.software), 128);
    ck_assert_int_eq(turn_config_check(&c, why, sizeof why), ERR_CONFIG);
    c.software[127] = 0;
    ck_assert_int_eq(turn_config_check(&c, why, sizeof why), ERR_OK);
    turn_config_free(&c);
}
END_TEST

/* §14.10: a nonce is text that needs no quoting, shorter than 128 characters */
START_TEST(test_nonce_is_plain_text)
{
    fixture_start(&f, "");
    begin_allocate();
    ck_assert_int_eq(fixture_plain(&f), 401);
    struct stun_value v = stun_get(&f.answer, STUN_NONCE);
    ck_assert_uint_gt(v.len, 0);
    ck_assert_uint_lt(v.len, 128);
    for (size_t i = 0; i < v.len; i++)
        ck_assert(v.at[i] > 0x20 && v.at[i] < 0x7f && v.at[i] != '"' && v.at[i] != '\\');
    fixture_stop(&f);
}
END_TEST

/* §16.1.2 */
START_TEST(test_software_can_be_left_out)
{
    fixture_start(&f, ""); /* the fixture names none unless a test does */
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert(!stun_has(&f.answer, STUN_SOFTWARE));
    fixture_stop(&f);
}
END_TEST

/* RFC 8656
 * --------------------------------------------------------------------------------------------------- */

/* §5: an unanswered message of no allocation leaves no trace */
START_TEST(test_indications_without_allocation_are_ignored)
{
    fixture_start(&f, "");
    fixture_send(&f, "198.51.100.1:9", "x", 1);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.answer_size, 0);
    fixture_stop(&f);
}
END_TEST

/* §5: the 5-tuple is all of it: another port, another listening address, another transport is another client
 */
START_TEST(test_allocation_belongs_to_its_5_tuple)
{
    start_allocated("");
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_refresh(&f, 600), 437);
    fixture_client(&f, "192.0.2.1:5000");
    f.client.key = turn_key_udp(&f.client.address, 1);
    ck_assert_int_eq(fixture_refresh(&f, 600), 437);
    f.client.key = turn_key_stream(1);
    ck_assert_int_eq(fixture_refresh(&f, 600), 437);
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    fixture_stop(&f);
}
END_TEST

/* §6: sending data does not keep an allocation alive */
START_TEST(test_data_does_not_refresh)
{
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    for (unsigned i = 0; i < 6; i++) {
        fixture_pass(&f, 100);
        fixture_channel_data(&f, 0x4000, "x", 1);
        fixture_send(&f, "198.51.100.1:1", "x", 1);
        fixture_from_peer(&f, "198.51.100.1:1", "x", 1);
    }
    fixture_pass(&f, 1);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

/* §9, §11.2, §12.6: nor a permission, nor a channel */
START_TEST(test_data_refreshes_neither_permission_nor_channel)
{
    start_allocated("");
    ck_assert_int_eq(fixture_refresh(&f, 3600), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    for (unsigned i = 0; i < 3; i++) {
        fixture_pass(&f, 100);
        fixture_channel_data(&f, 0x4000, "x", 1);
        fixture_send(&f, "198.51.100.1:1", "x", 1);
    }
    ck_assert_uint_eq(f.n_to_peer, 6);
    fixture_pass(&f, 1);
    fixture_channel_data(&f, 0x4000, "x", 1);
    fixture_send(&f, "198.51.100.1:1", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 6);
    for (unsigned i = 0; i < 3; i++) { /* the channel: ten minutes after it was bound */
        ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
        fixture_pass(&f, 100);
        fixture_channel_data(&f, 0x4000, "x", 1);
    }
    ck_assert_uint_eq(f.n_to_peer, 8); /* at 301 s + 100 and + 200; at + 300 it is over */
    fixture_stop(&f);
}
END_TEST

/* §7.2: both families where there is only IPv6, and where IPv4 is used up */
START_TEST(test_dual_without_ipv4)
{
    fixture_start(&f, "\"relays\":[{\"bind\":\"2001:db8::10\"}]");
    ck_assert_int_eq(fixture_allocate(&f), 440); /* IPv4 is meant where nothing is said */
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    ck_assert_mem_eq(stun_get(&f.answer, STUN_ADDRESS_ERROR_CODE).at, "\1\0\4\x28", 4);
    ck_assert_uint_eq(f.relays_open, 1);
    fixture_stop(&f);
    fixture_start(&f, "\"relay_ports\":[30000,30000],"
                      "\"relays\":[{\"bind\":\"203.0.113.10\"},{\"bind\":\"2001:db8::10\"}]");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    ck_assert_mem_eq(stun_get(&f.answer, STUN_ADDRESS_ERROR_CODE).at, "\1\0\5\x08", 4);
    fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 508);
    ck_assert_uint_eq(f.relays_open, 2);
    fixture_stop(&f);
}
END_TEST

/* §7.2: RESERVATION-TOKEN stands alone */
START_TEST(test_token_with_a_family_is_400)
{
    static const enum stun_attr with[] = {STUN_REQUESTED_ADDRESS_FAMILY, STUN_ADDITIONAL_ADDRESS_FAMILY};
    fixture_start(&f, "");
    for (size_t i = 0; i < 2; i++) {
        begin_allocate();
        stun_put(&f.writer, STUN_RESERVATION_TOKEN, "12345678", 8);
        stun_put(&f.writer, with[i], "\2\0\0\0", 4);
        ck_assert_int_eq(fixture_request(&f), 400);
    }
    fixture_stop(&f);
}
END_TEST

/* §7.2: whoever has a token may come from anywhere, on any transport */
START_TEST(test_token_from_another_5_tuple)
{
    uint8_t token[8];
    fixture_start(&f, "");
    ck_assert_int_eq(allocate_with(STUN_EVEN_PORT, "\x80", 1), 0);
    memcpy(token, stun_get(&f.answer, STUN_RESERVATION_TOKEN).at, 8);
    fixture_client(&f, "[2001:db8:5::9]:1234");
    f.client.transport = TURN_OVER_TCP;
    f.client.key = turn_key_stream(7);
    fixture_pass(&f, 30); /* held so long at least */
    ck_assert_int_eq(allocate_with(STUN_RESERVATION_TOKEN, token, 8), 0);
    fixture_stop(&f);
}
END_TEST

/* §7.2: the well-known ports are nobody's */
START_TEST(test_well_known_ports_are_never_relayed)
{
    char why[200];
    struct turn_config c = fixture_config("");
    c.port_min = 1023;
    ck_assert_int_eq(turn_config_check(&c, why, sizeof why), ERR_CONFIG);
    c.port_min = 1024;
    ck_assert_int_eq(turn_config_check(&c, why, sizeof why), ERR_OK);
    turn_config_free(&c);
}
END_TEST

/* §7.2, §18: bits for the future are passed over */
START_TEST(test_reserved_bits_are_ignored)
{
    struct netaddr a = address("198.51.100.1:1");
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put(&f.writer, STUN_REQUESTED_TRANSPORT, "\x11\xff\xff\xff", 4);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\1\xff\xff\xff", 4);
    stun_put(&f.writer, STUN_EVEN_PORT, "\x7f", 1);
    ck_assert_int_eq(fixture_request(&f), 0);
    ck_assert(!stun_has(&f.answer, STUN_RESERVATION_TOKEN));
    fixture_begin(&f, STUN_METHOD_CHANNEL_BIND);
    stun_put(&f.writer, STUN_CHANNEL_NUMBER, "\x40\0\xff\xff", 4);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &a);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_stop(&f);
}
END_TEST

/* §8.1: one family goes, what belongs to the other stays */
START_TEST(test_deleting_one_family_spares_the_other)
{
    start_dual("192.0.2.1:5000");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "[2001:db8:9::1]:1"), 0);
    fixture_begin(&f, STUN_METHOD_REFRESH);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\1\0\0\0", 4);
    stun_put_u32(&f.writer, STUN_LIFETIME, 0);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    fixture_send(&f, "198.51.100.1:1", "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 0);
    fixture_channel_data(&f, 0x4001, "x", 1);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_from_peer(&f, "[2001:db8:9::1]:1", "x", 1);
    ck_assert_uint_eq(f.n_to_client, 1);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 443);
    fixture_stop(&f);
}
END_TEST

/* §9: a permission of one allocation is none of another's, and no port counts in it */
START_TEST(test_permissions_are_of_one_allocation_and_all_ports)
{
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1:7"), 0);
    fixture_from_peer(&f, "198.51.100.1:1", "x", 1);
    fixture_from_peer(&f, "198.51.100.1:65535", "x", 1);
    ck_assert_uint_eq(f.n_to_client, 2);
    fixture_from_peer(&f, "198.51.100.2:7", "x", 1);
    ck_assert_uint_eq(f.n_to_client, 2);
    fixture_client(&f, "192.0.2.2:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_from_peer(&f, "198.51.100.1:7", "x", 1);
    ck_assert_uint_eq(f.n_to_client, 2);
    fixture_stop(&f);
}
END_TEST

/* §11.2: DATA may be empty */
START_TEST(test_empty_data_is_a_datagram)
{
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    fixture_send(&f, "198.51.100.1:2", "", 0);
    ck_assert_uint_eq(f.n_to_peer, 1);
    ck_assert_uint_eq(f.to_peer_size, 0);
    fixture_channel_data(&f, 0x4000, "", 0);
    ck_assert_uint_eq(f.n_to_peer, 2);
    fixture_from_peer(&f, "198.51.100.1:1", "", 0);
    ck_assert_uint_eq(f.to_client_size, CHANDATA_HEADER);
    fixture_stop(&f);
}
END_TEST

/* §12: channels of one allocation are nothing to another */
START_TEST(test_channels_are_of_one_allocation)
{
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    fixture_client(&f, "192.0.2.2:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.2:2"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4001, "198.51.100.1:1"), 0);
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.peer.port, 2);
    fixture_client(&f, "192.0.2.1:5000");
    fixture_channel_data(&f, 0x4000, "x", 1);
    ck_assert_uint_eq(f.peer.port, 1);
    fixture_stop(&f);
}
END_TEST

/* §12.5: who has a channel gets ChannelData, also for what he sent by Send */
START_TEST(test_channel_is_used_when_bound)
{
    start_allocated("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_send(&f, "198.51.100.1:1", "x", 1);
    fixture_from_peer(&f, "198.51.100.1:1", "y", 1);
    ck_assert_uint_lt(f.to_client[0], 0x40); /* a Data indication */
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    fixture_from_peer(&f, "198.51.100.1:1", "y", 1);
    ck_assert_uint_eq(f.to_client[0], 0x40);
    fixture_stop(&f);
}
END_TEST

/* §12.6: over UDP the datagram may be longer than its message (padding), never shorter */
START_TEST(test_channel_data_with_padding)
{
    uint8_t *packet = f.packet + TURN_HEADROOM;
    start_allocated("");
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1"), 0);
    memcpy(packet, "\x40\0\0\5media\0\0\0", 12);
    turn_forward_channel_data(f.server, &f.client.key, packet, 12);
    ck_assert_uint_eq(f.to_peer_size, 5);
    turn_forward_channel_data(f.server, &f.client.key, packet, 8);
    ck_assert_uint_eq(f.n_to_peer, 1);
    fixture_stop(&f);
}
END_TEST

/* §3.7: no socket tells the don't-fragment bit of an IPv4 packet that has to become an IPv6 one */
START_TEST(test_dont_fragment_towards_ipv6_is_420)
{
    static const enum stun_attr six[] = {STUN_REQUESTED_ADDRESS_FAMILY, STUN_ADDITIONAL_ADDRESS_FAMILY};
    fixture_start(&f, "");
    for (size_t i = 0; i < 2; i++) {
        begin_allocate();
        stun_put(&f.writer, STUN_DONT_FRAGMENT, "", 0);
        stun_put(&f.writer, six[i], "\2\0\0\0", 4);
        ck_assert_int_eq(fixture_request(&f), 420);
        struct stun_value v = stun_get(&f.answer, STUN_UNKNOWN_ATTRIBUTES);
        ck_assert_uint_eq(v.len, 2);
        ck_assert_mem_eq(v.at, "\0\x1a", 2);
    }
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_client(&f, "[2001:db8:5::9]:1234");
    begin_allocate();
    stun_put(&f.writer, STUN_DONT_FRAGMENT, "", 0);
    stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4);
    ck_assert_int_eq(fixture_request(&f), 0);
    fixture_stop(&f);
}
END_TEST

static void send_whole(const char *peer)
{
    struct netaddr a = address(peer);
    fixture_begin_class(&f, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put_xor_address(&f.writer, STUN_XOR_PEER_ADDRESS, &a);
    stun_put(&f.writer, STUN_DONT_FRAGMENT, "", 0);
    stun_put(&f.writer, STUN_DATA, "x", 1);
    ck_assert_int_eq(fixture_plain(&f), -1);
}

/* §13: where one end is IPv6, DONT-FRAGMENT says nothing between datagrams; §14, §15: else it does */
START_TEST(test_dont_fragment_where_it_counts)
{
    start_dual("[2001:db8:5::9]:1234");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(fixture_permit(&f, "2001:db8:9::1"), 0);
    send_whole("198.51.100.1:1");
    send_whole("[2001:db8:9::1]:1");
    ck_assert_uint_eq(f.n_to_peer, 2);
    ck_assert_uint_eq(f.n_whole, 0);
    fixture_client(&f, "192.0.2.1:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    send_whole("198.51.100.1:1");
    ck_assert_uint_eq(f.n_whole, 1);
    fixture_client(&f, "192.0.2.1:5001");
    f.client.transport = TURN_OVER_TCP;
    ck_assert_int_eq(allocate_with(STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
    ck_assert_int_eq(fixture_permit(&f, "2001:db8:9::1"), 0);
    send_whole("[2001:db8:9::1]:1");
    ck_assert_uint_eq(f.n_whole, 2);
    fixture_stop(&f);
}
END_TEST

/* §21.4: neither clients nor peers behind tunnels that would send everything back */
START_TEST(test_tunnels_are_refused)
{
    static const char *const tunnels[] = {"2002:c633:6401::1", "2001:0:c633:6402::1"};
    for (size_t i = 0; i < 2; i++) {
        char text[80];
        fixture_start(&f, "");
        snprintf(text, sizeof text, "[%s]:5000", tunnels[i]);
        fixture_client(&f, text);
        ck_assert_int_eq(fixture_allocate(&f), 403);
        fixture_client(&f, "192.0.2.1:5000");
        ck_assert_int_eq(allocate_with(STUN_ADDITIONAL_ADDRESS_FAMILY, "\2\0\0\0", 4), 0);
        ck_assert_int_eq(fixture_permit(&f, tunnels[i]), 403);
        ck_assert_int_eq(fixture_bind(&f, 0x4000, text), 403);
        ck_assert_uint_eq(f.server->permissions.count, 0);
        fixture_stop(&f);
    }
}
END_TEST

UNIT_MAIN("turn_conformance", test_indications_have_transactions_of_their_own, test_answers_fit_any_path,
          test_errors_carry_method_code_and_reason, test_known_but_unexpected_is_ignored,
          test_retransmissions_change_nothing, test_challenges_carry_no_identity,
          test_successes_carry_integrity_only, test_padding, test_first_byte_of_addresses,
          test_longest_username_is_read, test_realm_and_software_are_short, test_nonce_is_plain_text,
          test_software_can_be_left_out, test_indications_without_allocation_are_ignored,
          test_allocation_belongs_to_its_5_tuple, test_data_does_not_refresh,
          test_data_refreshes_neither_permission_nor_channel, test_dual_without_ipv4,
          test_token_with_a_family_is_400, test_token_from_another_5_tuple,
          test_well_known_ports_are_never_relayed, test_reserved_bits_are_ignored,
          test_deleting_one_family_spares_the_other, test_permissions_are_of_one_allocation_and_all_ports,
          test_empty_data_is_a_datagram, test_channels_are_of_one_allocation, test_channel_is_used_when_bound,
          test_channel_data_with_padding, test_dont_fragment_towards_ipv6_is_420,
          test_dont_fragment_where_it_counts, test_tunnels_are_refused)
