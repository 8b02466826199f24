#include <signal.h>

#include "tests/unit/web_box.h"

enum { GUESTS = 100 };

static struct guest guests[GUESTS];

/* All at once: they wait for each other, and nobody is left over. */
START_TEST(test_turns)
{
    unsigned open = 0;
    box_setup("{\"handshakes_per_address\":1000}");
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = (struct guest){0};
        guests[i].stream = stream_connect(box.loop, &box.https, box.client_tls, "join.example.com",
                                          &guest_events, &guests[i], GUEST_IN, 0);
    }
    for (int i = 0; i < GUESTS; i++) {
        RUN_UNTIL(guests[i].open || guests[i].closed);
        open += guests[i].open;
    }
    ck_assert_uint_eq(open, GUESTS);
    ck_assert_int_gt((int)box_count("delayed_handshakes"), 0);
    for (int i = 0; i < GUESTS; i++)
        guest_close(&guests[i]);
    box_stop();
}
END_TEST

/* Who leaves while he waits is forgotten. */
START_TEST(test_leaving_while_waiting)
{
    signal(SIGPIPE, SIG_IGN); /* as in every worker */
    box_setup("{\"handshakes_per_address\":1000}");
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = (struct guest){0};
        guests[i].stream = stream_connect(box.loop, &box.https, box.client_tls, "join.example.com",
                                          &guest_events, &guests[i], GUEST_IN, 0);
    }
    RUN_UNTIL(guests[0].open);
    for (int i = 0; i < GUESTS; i++)
        guest_close(&guests[i]);
    RUN_UNTIL(box_count("connections") == 0);
    box_stop();
}
END_TEST

/* A worker that ends while guests wait. */
START_TEST(test_end_while_waiting)
{
    box_setup("{\"handshakes_per_address\":1000}");
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = (struct guest){0};
        guests[i].stream = stream_connect(box.loop, &box.https, box.client_tls, "join.example.com",
                                          &guest_events, &guests[i], GUEST_IN, 0);
    }
    RUN_UNTIL(guests[0].open);
    for (int i = 0; i < GUESTS; i++)
        guest_close(&guests[i]);
    box_stop();
}
END_TEST

/* Eight seconds' worth at once, then no more: closed before TLS, told to main, an event. */
START_TEST(test_too_many)
{
    box_setup("{\"handshakes_per_address\":1}");
    for (int i = 0; i < 9; i++)
        guest_connect(&guests[i], true, "join.example.com");
    for (int i = 0; i < 8; i++)
        ck_assert(guests[i].open);
    ck_assert(guests[8].closed && !guests[8].open);
    ck_assert_int_eq((int)box_count("refused_handshakes"), 1);
    ck_assert_msg(strstr(box.last_event, "Too Many Handshakes") != NULL, "%s", box.last_event);
    RUN_UNTIL(box.offences > 0);
    ck_assert_str_eq(box.last_offences, "[[\"127.0.0.1\",\"limits\",1]]");
    guest_close(&guests[8]);
    run_for(0.5); /* one second after the first, one more is allowed */
    guest_connect(&guests[8], true, "join.example.com");
    ck_assert(guests[8].open);
    for (int i = 0; i < 9; i++)
        guest_close(&guests[i]);
    box_stop();
}
END_TEST

UNIT_MAIN("handshakes", test_turns, test_leaving_while_waiting, test_end_while_waiting, test_too_many)
