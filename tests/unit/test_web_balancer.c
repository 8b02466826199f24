/* Behind a load balancer: whoever its header names is the client; without a right one nothing is served. */
#include "tests/unit/web_box.h"

/* A plain connection that has sent this. */
static void balanced(struct guest *g, bool https, const char *text, size_t n)
{
    *g = (struct guest){0};
    buf_init(&g->in, GUEST_IN);
    g->stream =
        stream_connect(box.loop, https ? &box.https : &box.http, NULL, NULL, &guest_events, g, GUEST_IN, 0);
    ck_assert_int_eq(stream_write(g->stream, text, n), ERR_OK);
}

#define BALANCED(g, https, text) balanced(g, https, text, strlen(text))
#define HEADER                   "PROXY TCP4 192.0.2.77 203.0.113.1 5000 443\r\n"
#define EVIL                     "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n" /* whose refusal names the client */

static bool event_has(const char *text)
{
    return strstr(box.last_event, text) != NULL;
}

static void start(const char *limits)
{
    box.balancer = "127.0.0.0/8";
    box.turn = true;
    box_setup(limits);
}

START_TEST(test_client_of_the_header)
{
    struct guest g;
    start(NULL);
    BALANCED(&g, false, HEADER EVIL);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 ") && box.events == 1);
    ck_assert_msg(event_has("192.0.2.77"), "%s", box.last_event);
    guest_close(&g);
    BALANCED(&g, true, "PROXY TCP6 2001:db8::77 2001:db8::1 5000 443\r\n\x01\x01\x01\x01 stun");
    RUN_UNTIL(box.hands == 1);
    ck_assert_msg(strncmp(box.handed_words, "[2001:db8::77]:5000 ", 20) == 0, "%s", box.handed_words);
    char rest[16];
    ck_assert_int_eq(read(box.handed[0], rest, sizeof rest), 9); /* all behind the header, nothing of it */
    close(box.handed[0]);
    guest_close(&g);
    box_stop();
}
END_TEST

static void tell_balancers(const char *network)
{
    json_t *msg = json_pack("{ss so so s[s] si}", "type", "limits", "limits", json_object(), "exempt", json_array(),
                            "load_balancers", network, "hsts", 0);
    ck_assert_int_eq(ipc_send(box.main_side, msg, NULL, 0), ERR_OK);
    (void)box_count("requests"); /* its answer comes behind it */
}

/* Counts for connections that come from then on; one whose header is under way is a balancer's still. */
START_TEST(test_balancers_change)
{
    struct guest before, g;
    start(NULL);
    BALANCED(&before, false, "PROXY ");
    RUN_UNTIL(box_count("connections") == 1);
    tell_balancers("192.0.2.0/24");
    BALANCED(&g, false, EVIL);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 ") && event_has("127.0.0.1"));
    guest_close(&g);
    guest_send(&before, HEADER EVIL + 6);
    RUN_UNTIL(guest_has(&before, "HTTP/1.1 421 ") && event_has("192.0.2.77"));
    guest_close(&before);
    tell_balancers("127.0.0.0/8");
    BALANCED(&g, false, HEADER EVIL);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_header_in_pieces)
{
    struct guest g;
    start(NULL);
    BALANCED(&g, false, "P");
    for (const char *p = HEADER EVIL + 1; *p; p++) {
        char piece[2] = {*p, '\0'};
        guest_send(&g, piece);
        ev_run(box.loop, EVRUN_NOWAIT);
    }
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    RUN_UNTIL(event_has("192.0.2.77"));
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_balancer_for_itself)
{
    static const char local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00" EVIL;
    struct guest g;
    start(NULL);
    balanced(&g, false, local, sizeof local - 1);
    RUN_UNTIL(guest_has(&g, "HTTP/1.1 421 "));
    RUN_UNTIL(event_has("127.0.0.1"));
    guest_close(&g);
    BALANCED(&g, false, ""); /* does it listen? */
    RUN_UNTIL(g.open);
    guest_close(&g);
    RUN_UNTIL(box_count("connections") == 0);
    ck_assert_int_eq((int)box_count("refused_header"), 0);
    box_stop();
}
END_TEST

START_TEST(test_refused)
{
    static const char *const firsts[] = {EVIL, "PROXY TCP4 192.0.2.77\r\n",
                                         "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "\x16\x03\x01", "\r\n\r\n\r\n"};
    struct guest g;
    int n = (int)(sizeof firsts / sizeof *firsts);
    start(NULL);
    for (int i = 0; i < n; i++) {
        BALANCED(&g, i % 2, firsts[i]);
        RUN_UNTIL(g.closed || g.eof);
        ck_assert_uint_eq(buf_len(&g.in), 0);
        guest_close(&g);
    }
    ck_assert_int_eq((int)box_count("refused_header"), n);
    ck_assert_int_eq((int)box_count("connections"), 0);
    ck_assert_int_eq((int)box_count("addresses"), 0);
    box_stop();
}
END_TEST

START_TEST(test_limits_count_clients)
{
    struct guest g[4];
    start("{\"connections_per_address\":2}");
    for (int i = 0; i < 4; i++) {
        BALANCED(&g[i], false, HEADER);
        if (i < 2)
            RUN_UNTIL(box_count("connections") == i + 1 && box_count("addresses") == 1);
    }
    RUN_UNTIL((g[2].closed || g[2].eof) && (g[3].closed || g[3].eof));
    ck_assert_int_eq((int)box_count("refused_address"), 2);
    struct guest other;
    BALANCED(&other, false, "PROXY TCP4 192.0.2.78 203.0.113.1 5000 80\r\n" EVIL);
    RUN_UNTIL(guest_has(&other, "HTTP/1.1 421 "));
    RUN_UNTIL(event_has("192.0.2.78"));
    guest_close(&other);
    for (int i = 0; i < 4; i++)
        guest_close(&g[i]);
    RUN_UNTIL(box_count("connections") == 0);
    ck_assert_int_eq((int)box_count("addresses"), 0);
    box_stop();
}
END_TEST

START_TEST(test_header_that_never_comes)
{
    struct guest g;
    start("{\"handshake_seconds\":1}");
    BALANCED(&g, true, "PROXY ");
    RUN_UNTIL(g.closed || g.eof);
    ck_assert_int_eq((int)box_count("timed_out"), 1);
    guest_close(&g);
    box_stop();
}
END_TEST

START_TEST(test_nobody_elses_header)
{
    struct guest g;
    box.balancer = "10.0.0.0/8";
    box_setup(NULL);
    BALANCED(&g, false, HEADER EVIL);
    RUN_UNTIL(guest_has(&g, "\r\n\r\n") || g.closed || g.eof);
    ck_assert(!event_has("192.0.2.77"));
    guest_close(&g);
    box_stop();
}
END_TEST

UNIT_MAIN("web_balancer", test_client_of_the_header, test_balancers_change, test_header_in_pieces,
          test_balancer_for_itself, test_refused, test_limits_count_clients, test_header_that_never_comes, test_nobody_elses_header)
