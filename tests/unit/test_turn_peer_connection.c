/* RFC 6062, one test per rule. */
#include "proto/stun_ephemeral.h"
#include "tests/unit/turn_stream_fixture.h"

#define PEER "198.51.100.7:80"

static struct fixture f;

static void start(const char *extra)
{
    stream_fixture_start(&f, extra);
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
}

static struct turn_allocation *allocation(void)
{
    return turn_allocation_find(f.server, &f.client.key);
}

/* §5.1 -------------------------------------------------------------------------------------------------- */

START_TEST(test_allocate)
{
    struct netaddr relayed;
    start("");
    ck_assert_uint_eq(streams.listening, 1);
    ck_assert_uint_eq(f.relays_open, 0);
    ck_assert(!stun_has(&f.answer, STUN_RESERVATION_TOKEN));
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_RELAYED_ADDRESS, &relayed), ERR_OK);
    ck_assert(turn_shared_port_is_tcp(f.server->shared, 0, relayed.port));
    ck_assert(!turn_shared_port_in_use(f.server->shared, 0, relayed.port));
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_uint_eq(streams.listening, 0);
    ck_assert_uint_eq(turn_shared_ports_used(f.server->shared, 0), 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_allocate_over_udp)
{
    stream_fixture_start(&f, "");
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_allocate(&f), 400);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_allocate_with_attributes_of_udp)
{
    static const uint8_t even[1] = {0}, token[8] = {1};
    stream_fixture_start(&f, "");
    stream_fixture_begin_allocate(&f);
    stun_put(&f.writer, STUN_EVEN_PORT, even, sizeof even);
    ck_assert_int_eq(fixture_request(&f), 400);
    stream_fixture_begin_allocate(&f);
    stun_put(&f.writer, STUN_RESERVATION_TOKEN, token, sizeof token);
    ck_assert_int_eq(fixture_request(&f), 400);
    stream_fixture_begin_allocate(&f);
    stun_put(&f.writer, STUN_DONT_FRAGMENT, NULL, 0);
    ck_assert_int_eq(fixture_request(&f), 400);
    ck_assert_uint_eq(streams.listening, 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_allocate_refused_transports)
{
    stream_fixture_start(&f, "\"tcp_relays\":false");
    ck_assert_int_eq(stream_fixture_allocate(&f), 442);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 33u << 24);
    ck_assert_int_eq(fixture_request(&f), 442);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_allocate_both_families)
{
    stream_fixture_start(&f, "");
    stream_fixture_begin_allocate(&f);
    stun_put_u32(&f.writer, STUN_ADDITIONAL_ADDRESS_FAMILY, 2u << 24);
    ck_assert_int_eq(fixture_request(&f), 0);
    ck_assert_uint_eq(streams.listening, 2);
    ck_assert_int_eq(stream_fixture_connect(&f, "[2001:db8:9::1]:80"), -1);
    ck_assert_int_eq(streams.from.family, AF_INET6);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_taken_port_is_drawn_again)
{
    stream_fixture_start(&f, "\"relay_ports\":[30000,30001]");
    f.taken = 30000;
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
    ck_assert_uint_eq(fixture_relay(&f, TURN_IPV4)->port, 30001);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_no_datagrams)
{
    start("");
    ck_assert_int_eq(fixture_permit(&f, PEER), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, PEER), 400);
    fixture_send(&f, PEER, "data", 4);
    ck_assert_uint_eq(f.n_to_peer, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_bad_indication], 1);
    stream_fixture_stop(&f);
}
END_TEST

/* A UDP client's datagrams to a TCP relay's address go nowhere. */
START_TEST(test_no_datagrams_from_relays)
{
    char relayed[NETADDR_TEXT];
    start("");
    netaddr_print(&fixture_relay(&f, TURN_IPV4)->advertised, relayed);
    fixture_client(&f, "192.0.2.2:5000");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_permit(&f, relayed), 0);
    fixture_send(&f, relayed, "data", 4);
    ck_assert_uint_eq(f.n_to_peer + f.n_to_client, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_relay], 1);
    stream_fixture_stop(&f);
}
END_TEST

/* §5.2 -------------------------------------------------------------------------------------------------- */

START_TEST(test_connect)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    ck_assert(netaddr_equal(&streams.from, &fixture_relay(&f, TURN_IPV4)->advertised));
    struct netaddr peer = address(PEER);
    ck_assert(netaddr_equal(&streams.to, &peer));
    ck_assert_uint_ne(stream_fixture_connected(&f), 0);
    ck_assert_int_eq(f.answer.method, STUN_METHOD_CONNECT);
    ck_assert_uint_eq(f.server->counters.successes[STUN_METHOD_CONNECT], 1);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connect_refusals)
{
    stream_fixture_start(&f, "");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 437);
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
    fixture_begin(&f, STUN_METHOD_CONNECT);
    ck_assert_int_eq(fixture_request(&f), 400);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7"), 403);
    ck_assert_int_eq(stream_fixture_connect(&f, "[2001:db8:9::1]:80"), 443);
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 441);
    ck_assert_ptr_null(streams.connecting);
    stream_fixture_stop(&f);
}
END_TEST

/* The judgement is that of UDP (others skipped it for TCP). */
START_TEST(test_connect_policy)
{
    static const char *const never[] = {"127.0.0.1:80", "10.0.0.1:80", "169.254.169.254:80",
                                        "10.0.0.36:3478"};
    start("");
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        ck_assert_int_eq(stream_fixture_connect(&f, never[i]), 403);
    ck_assert_ptr_null(streams.connecting);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connect_needs_a_tcp_allocation)
{
    stream_fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 400);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connect_exists)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 446); /* being connected */
    uint32_t id = stream_fixture_connected(&f);
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 446); /* waiting */
    struct turn_client control = f.client;
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0);
    f.client = control;
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 446); /* joined */
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:81"), -1);
    streams.sockets--;
    turn_peer_connection_ended(streams.joined);
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    streams.connect_error = ERR_EXISTS; /* the kernel knows one */
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:82"), 446);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connect_fails)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    turn_peer_connection_failed(streams.connecting);
    ck_assert_int_eq(stream_fixture_answer(&f), 447);
    ck_assert_uint_eq(allocation()->n_connections, 0);
    streams.connect_error = ERR_REFUSED;
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 447);
    streams.connect_error = ERR_FULL;
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 508);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connect_times_out)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    fixture_pass(&f, TURN_CONNECT_SECONDS);
    ck_assert_int_eq(stream_fixture_answer(&f), -1);
    fixture_pass(&f, 2);
    ck_assert_int_eq(stream_fixture_answer(&f), 447);
    ck_assert_uint_eq(streams.sockets, 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connection_that_nobody_binds)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    fixture_pass(&f, TURN_BIND_SECONDS);
    ck_assert_uint_eq(streams.sockets, 1);
    fixture_pass(&f, 2);
    ck_assert_uint_eq(streams.sockets, 0);
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_ids_differ)
{
    uint32_t ids[8];
    char peer[40];
    start("");
    for (unsigned i = 0; i < 8; i++) {
        snprintf(peer, sizeof peer, "198.51.100.7:%u", 80 + i);
        ck_assert_int_eq(stream_fixture_connect(&f, peer), -1);
        ids[i] = stream_fixture_connected(&f);
        for (unsigned k = 0; k < i; k++)
            ck_assert_uint_ne(ids[i], ids[k]);
    }
    ck_assert_uint_gt(ids[0] | ids[1] | ids[2] | ids[3], 1u << 20); /* not counted up */
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_quotas)
{
    start("\"quota\":{\"connections\":2,\"user_connections\":3}");
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:80"), -1);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:81"), -1);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:82"), 508); /* the allocation's */
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:80"), -1);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:81"), 486); /* the user's */
    turn_peer_connection_failed(streams.connecting);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:81"), -1);
    f.user = "bob";
    f.password = "banana";
    stream_fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:80"), -1);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_connections_of_the_worker_are_bounded)
{
    start("");
    turn_server_set_streams(f.server, &stream_fixture_ops, &f, 1);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:80"), -1);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:81"), 508);
    stream_fixture_stop(&f);
}
END_TEST

/* Where no NAT reflects: a relay of ours is reached where it is bound. Only TCP relays are. */
START_TEST(test_connect_to_own_relays)
{
    char tcp[NETADDR_TEXT], udp[NETADDR_TEXT];
    start("\"relays\":[{\"bind\":\"10.0.0.36\",\"advertised\":\"203.0.113.10\"}]");
    netaddr_print(&fixture_relay(&f, TURN_IPV4)->advertised, tcp);
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    netaddr_print(&fixture_relay(&f, TURN_IPV4)->advertised, udp);
    stream_fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
    ck_assert_int_eq(stream_fixture_connect(&f, udp), 447);
    ck_assert_int_eq(stream_fixture_connect(&f, "203.0.113.10:29000"), 447); /* nobody's */
    ck_assert_ptr_null(streams.connecting);
    ck_assert_int_eq(stream_fixture_connect(&f, tcp), -1);
    struct netaddr bound = address("10.0.0.36");
    ck_assert(netaddr_equal_ip(&streams.to, &bound) && netaddr_equal_ip(&streams.from, &bound));
    stream_fixture_stop(&f);
}
END_TEST

/* §5.3 -------------------------------------------------------------------------------------------------- */

START_TEST(test_attempt)
{
    struct netaddr peer, expected = address("198.51.100.7:4000");
    start("");
    ck_assert(!stream_fixture_knock(&f, "198.51.100.7:4000"));
    ck_assert_uint_eq(f.answer_size, 0);
    ck_assert_uint_eq(f.server->counters.drops[TURN_DROP_no_permission], 1);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.7"), 0);
    ck_assert(stream_fixture_knock(&f, "198.51.100.7:4000"));
    ck_assert_int_eq(stream_fixture_answer(&f), 0);
    ck_assert_int_eq(f.answer.class, STUN_INDICATION);
    ck_assert_int_eq(f.answer.method, STUN_METHOD_CONNECTION_ATTEMPT);
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_PEER_ADDRESS, &peer), ERR_OK);
    ck_assert(netaddr_equal(&peer, &expected));
    uint32_t id = stream_fixture_id(&f);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:4000"), 446);
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0);
    ck_assert_int_eq(streams.join.fd, PEER_FD);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_attempt_that_nobody_binds)
{
    start("");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.7"), 0);
    ck_assert(stream_fixture_knock(&f, "198.51.100.7:4000"));
    fixture_pass(&f, TURN_BIND_SECONDS + 2);
    ck_assert_uint_eq(streams.sockets, 0);
    ck_assert_uint_eq(allocation()->n_connections, 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_attempts_are_bounded)
{
    start("\"quota\":{\"connections\":1}");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.7"), 0);
    ck_assert(stream_fixture_knock(&f, "198.51.100.7:4000"));
    ck_assert(!stream_fixture_knock(&f, "198.51.100.7:4001"));
    ck_assert_uint_eq(f.answer_size, 0);
    ck_assert_uint_eq(f.server->counters.events[TURN_EVENT_peer_connections_refused], 1);
    stream_fixture_stop(&f);
}
END_TEST

/* §5.4 -------------------------------------------------------------------------------------------------- */

START_TEST(test_bind)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400); /* over the control connection */
    stream_fixture_client(&f, "192.0.2.1:5001");
    fixture_begin(&f, STUN_METHOD_CONNECTION_BIND);
    ck_assert_int_eq(fixture_request(&f), 400);
    ck_assert_int_eq(stream_fixture_bind(&f, id + 1), 400);
    ck_assert_int_eq(stream_fixture_bind(&f, 0), 400);
    ck_assert_uint_eq(streams.n_joins, 0);
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0);
    ck_assert_uint_eq(streams.n_joins, 1);
    ck_assert_int_eq(streams.join.fd, PEER_FD);
    stream_fixture_client(&f, "192.0.2.1:5002");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400); /* once */
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_bind_over_udp)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_bind_by_another_user)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    stream_fixture_client(&f, "192.0.2.1:5001");
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400);
    f.password = "wrong";
    ck_assert_int_eq(stream_fixture_bind(&f, id), 401);
    f.user = "alice";
    f.password = "apple";
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0); /* nothing was taken away */
    stream_fixture_stop(&f);
}
END_TEST

/* Who has the same name with another time is somebody else; time that has passed takes no call away. */
START_TEST(test_bind_with_ephemeral_credentials)
{
    char name[2][40], password[2][STUN_EPHEMERAL_PASSWORD + 1];
    start("\"shared_secrets\":[\"north\"]");
    for (int i = 0; i < 2; i++) {
        snprintf(name[i], sizeof name[i], "%u:dave", f.server->wall + 5 + (unsigned)i);
        stun_ephemeral_password("north", name[i], strlen(name[i]), password[i]);
    }
    ck_assert_int_eq(fixture_refresh(&f, 0), 0); /* what start() has allocated, as alice */
    f.user = name[0];
    f.password = password[0];
    ck_assert_int_eq(stream_fixture_allocate(&f), 0);
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    fixture_pass(&f, 10);
    stream_fixture_client(&f, "192.0.2.1:5001");
    f.user = name[1];
    f.password = password[1];
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400);
    f.user = name[0];
    f.password = password[0];
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0);
    stream_fixture_stop(&f);
}
END_TEST

/* §5.5 -------------------------------------------------------------------------------------------------- */

START_TEST(test_end_of_the_allocation_closes_all)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:80"), -1);
    uint32_t id = stream_fixture_connected(&f);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:81"), -1);
    stream_fixture_connected(&f);
    ck_assert_int_eq(stream_fixture_connect(&f, "198.51.100.7:82"), -1);
    struct turn_client control = f.client;
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0);
    ck_assert_uint_eq(streams.sockets, 3);
    turn_allocation_disconnect(f.server, &control.key);
    ck_assert_uint_eq(streams.sockets, 0);
    ck_assert_ptr_null(streams.joined);
    ck_assert_uint_eq(f.server->connections.count, 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_traffic_counts)
{
    start("");
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    struct turn_allocation *a = allocation();
    stream_fixture_client(&f, "192.0.2.1:5001");
    ck_assert_int_eq(stream_fixture_bind(&f, id), 0);
    atomic_fetch_add(&streams.join.row->from_client, 300);
    atomic_fetch_add(&streams.join.row->to_client, 500);
    streams.sockets--;
    turn_peer_connection_ended(streams.joined);
    ck_assert_uint_eq(a->from_client.bytes, 300);
    ck_assert_uint_eq(a->to_client.bytes, 500);
    stream_fixture_stop(&f);
}
END_TEST

/* Other workers ----------------------------------------------------------------------------------------- */

#define TWO "\"worker\":{\"index\":0,\"count\":2}"

/* A connection of worker 1, of alice. */
static uint32_t connection_abroad(void)
{
    struct turn_connection_row *row;
    ck_assert_int_eq(turn_connection_add(turn_shared_connections(f.server->shared), 77, 1,
                                         turn_shared_user(f.server->shared, "alice"), &row),
                     ERR_OK);
    return 77;
}

START_TEST(test_bind_abroad)
{
    stream_fixture_start(&f, TWO);
    uint32_t id = connection_abroad();
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(stream_fixture_bind(&f, id), 400);
    ck_assert_uint_eq(streams.n_asks, 0); /* who asks for another user's costs the workers nothing */
    f.user = "alice";
    f.password = "apple";
    ck_assert_int_eq(stream_fixture_bind(&f, id), -1);
    ck_assert_uint_eq(streams.n_asks, 1);
    ck_assert_uint_eq(streams.worker, 1);
    ck_assert(!turn_connection_bind_handed(f.server, id + 1, PEER_FD));
    f.answer_size = 0;
    ck_assert(turn_connection_bind_handed(f.server, id, PEER_FD));
    ck_assert_int_eq(stream_fixture_answer(&f), 0);
    ck_assert_int_eq(f.answer.method, STUN_METHOD_CONNECTION_BIND);
    ck_assert_int_eq(streams.join.fd, PEER_FD);
    ck_assert_ptr_null(streams.join.connection);
    ck_assert(!turn_connection_bind_handed(f.server, id, PEER_FD));
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_bind_abroad_cancelled)
{
    stream_fixture_start(&f, TWO);
    uint32_t id = connection_abroad();
    ck_assert_int_eq(stream_fixture_bind(&f, id), -1);
    ck_assert_ptr_nonnull(f.client.bind);
    turn_connection_bind_cancel(f.client.bind);
    ck_assert_ptr_null(f.client.bind);
    ck_assert_uint_eq(streams.n_tells, 1);
    ck_assert(!turn_connection_bind_handed(f.server, id, PEER_FD));
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_bind_abroad_with_a_full_mailbox)
{
    stream_fixture_start(&f, TWO);
    uint32_t id = connection_abroad();
    streams.ask_error = ERR_AGAIN;
    ck_assert_int_eq(stream_fixture_bind(&f, id), 500);
    ck_assert_ptr_null(f.client.bind);
    stream_fixture_stop(&f);
}
END_TEST

/* Worker 1 takes a connection of ours. */
static uint32_t handed(struct turn_connection_row **row)
{
    uint32_t owner;
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), -1);
    uint32_t id = stream_fixture_connected(&f);
    turn_peer_connection_asked(f.server, 1, id);
    ck_assert_uint_eq(streams.n_hands, 0); /* the row does not say so */
    ck_assert_int_eq(turn_connection_take(turn_shared_connections(f.server->shared), id,
                                          turn_shared_user(f.server->shared, "alice"), 1, &owner, row),
                     ERR_OK);
    turn_peer_connection_asked(f.server, 1, id);
    ck_assert_uint_eq(streams.n_hands, 1);
    ck_assert_uint_eq(streams.sockets, 0);
    return id;
}

START_TEST(test_handed_over)
{
    struct turn_connection_row *row;
    start(TWO);
    uint32_t id = handed(&row);
    fixture_pass(&f, TURN_BIND_SECONDS + 2);
    ck_assert_int_eq(stream_fixture_connect(&f, PEER), 446);
    turn_connection_release(row, id);
    turn_peer_connection_told(f.server, id);
    ck_assert_uint_eq(allocation()->n_connections, 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_handed_over_and_the_note_is_lost)
{
    struct turn_connection_row *row;
    start(TWO);
    uint32_t id = handed(&row);
    turn_peer_connection_told(f.server, id); /* nothing has changed */
    ck_assert_uint_eq(allocation()->n_connections, 1);
    turn_connection_release_worker(turn_shared_connections(f.server->shared), 1); /* it died */
    fixture_pass(&f, 1);
    ck_assert_uint_eq(allocation()->n_connections, 0);
    stream_fixture_stop(&f);
}
END_TEST

START_TEST(test_end_of_the_allocation_reaches_other_workers)
{
    struct turn_connection_row *row;
    start(TWO);
    uint32_t id = handed(&row);
    unsigned before = streams.n_tells;
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert(!turn_connection_there(row, id));
    ck_assert_uint_eq(streams.n_tells, before + 1);
    ck_assert_uint_eq(streams.worker, 1);
    stream_fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_peer_connection", test_allocate, test_allocate_over_udp, test_allocate_with_attributes_of_udp,
          test_allocate_refused_transports, test_allocate_both_families, test_taken_port_is_drawn_again,
          test_no_datagrams, test_no_datagrams_from_relays, test_connect, test_connect_refusals,
          test_connect_policy, test_connect_needs_a_tcp_allocation, test_connect_exists, test_connect_fails,
          test_connect_times_out, test_connection_that_nobody_binds, test_ids_differ, test_quotas,
          test_connections_of_the_worker_are_bounded, test_connect_to_own_relays, test_attempt,
          test_attempt_that_nobody_binds, test_attempts_are_bounded, test_bind, test_bind_over_udp,
          test_bind_by_another_user, test_bind_with_ephemeral_credentials,
          test_end_of_the_allocation_closes_all, test_traffic_counts, test_bind_abroad,
          test_bind_abroad_cancelled, test_bind_abroad_with_a_full_mailbox, test_handed_over,
          test_handed_over_and_the_note_is_lost, test_end_of_the_allocation_reaches_other_workers)
