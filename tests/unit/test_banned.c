/* What web workers tell of offenders, and what banned addresses get. Clients come by a load balancer's
 * header, so that there are several. */
#include "tests/unit/web_box.h"

#define EVIL          "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n"
#define FROM(address) "PROXY TCP4 " address " 203.0.113.1 5000 80\r\n"

static void client(struct guest *g, const char *text)
{
    *g = (struct guest){0};
    buf_init(&g->in, GUEST_IN);
    g->stream = stream_connect(box.loop, &box.http, NULL, NULL, &guest_events, g, GUEST_IN, 0);
    ck_assert_int_eq(stream_write(g->stream, text, strlen(text)), ERR_OK);
}

static void bans(const char *what, const char *address)
{
    ipc_send(box.main_side, json_pack("{s:s, s:[s]}", "type", "bans", what, address), NULL, 0);
    box_count("connections"); /* answered behind it */
}

START_TEST(test_offences_are_told)
{
    struct guest g[3];
    box.balancer = "127.0.0.0/8";
    box_setup(NULL);
    client(&g[0], FROM("192.0.2.77") EVIL EVIL);
    client(&g[1], FROM("192.0.2.78") "GARBAGE\r\n\r\n");
    client(&g[2], "PROXY TCP6 2001:db8:1:2:3::4 2001:db8::1 5000 80\r\n" EVIL);
    RUN_UNTIL(box.offences == 1);
    ck_assert_ptr_nonnull(strstr(box.last_offences, "[\"192.0.2.77\",\"refused\",2]"));
    ck_assert_ptr_nonnull(strstr(box.last_offences, "[\"192.0.2.78\",\"malformed\",1]"));
    ck_assert_ptr_nonnull(strstr(box.last_offences, "[\"2001:db8:1:2::\",\"refused\",1]"));
    for (int i = 0; i < 3; i++)
        guest_close(&g[i]);
    box_stop();
}
END_TEST

START_TEST(test_banned_stay_outside)
{
    struct guest open, g, other;
    box.balancer = "127.0.0.0/8";
    box_setup(NULL);
    client(&open, FROM("192.0.2.77"));
    RUN_UNTIL(box_count("addresses") == 1 && box_count("connections") == 1);
    client(&g, FROM("192.0.2.77") EVIL);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    bans("add", "192.0.2.77");
    RUN_UNTIL(open.eof || open.closed); /* it was idle */
    RUN_UNTIL(g.eof || g.closed);
    guest_close(&open);
    guest_close(&g);
    client(&g, FROM("192.0.2.77") EVIL);
    client(&other, FROM("192.0.2.78") EVIL);
    RUN_UNTIL(g.eof || g.closed);
    ck_assert_uint_eq(buf_len(&g.in), 0);
    RUN_UNTIL(guest_has(&other, "HTTP/1.1 421 "));
    ck_assert_int_eq((int)box_count("refused_banned"), 1);
    guest_close(&g);
    bans("remove", "192.0.2.77");
    client(&g, FROM("192.0.2.77") EVIL);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    guest_close(&g);
    guest_close(&other);
    box_stop();
}
END_TEST

/* Without a load balancer: nothing is read from the connection. */
START_TEST(test_closed_at_accept)
{
    struct guest g;
    box_setup(NULL);
    bans("add", "127.0.0.1");
    bans("add", "127.0.0.1"); /* twice is once */
    RUN_UNTIL(box_count("connections") == 0);
    client(&g, EVIL);
    RUN_UNTIL(g.eof || g.closed);
    ck_assert_uint_eq(buf_len(&g.in), 0);
    guest_close(&g);
    ck_assert_int_eq((int)box_count("accepted"), 0);
    ck_assert_int_eq((int)box_count("refused_banned"), 1);
    bans("remove", "127.0.0.1");
    client(&g, EVIL);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    guest_close(&g);
    box_stop();
}
END_TEST

/* A call goes on: the WebSocket of somebody who shares the address. */
START_TEST(test_websocket_goes_on)
{
    struct guest g, idle;
    box_start();
    guest_connect(&g, true, "join.example.com");
    guest_send(&g,
               "GET /ws HTTP/1.1\r\nHost: join.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 101 "));
    guest_connect(&idle, true, "join.example.com");
    guest_send(&idle, GET("/hello"));
    RUN_UNTIL(guest_has(&idle, "hello"));
    bans("add", "127.0.0.1");
    RUN_UNTIL(idle.eof || idle.closed);
    ck_assert(!g.eof && !g.closed);
    ck_assert_int_eq((int)box_count("open_websockets"), 1);
    guest_close(&g);
    guest_close(&idle);
    box_stop();
}
END_TEST

UNIT_MAIN("banned", test_offences_are_told, test_banned_stay_outside, test_closed_at_accept,
          test_websocket_goes_on)
