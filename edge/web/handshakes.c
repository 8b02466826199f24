#include "edge/web/handshakes.h"

#include <sched.h>

#include "common/clock.h"
#include "edge/web/conn_internal.h"

enum {
    ASKED_EACH_ROUND = 8,
    BURST_SECONDS = 8, /* of handshakes_per_address at once: a school that comes from one address */
    FEW = 10,          /* handshakes at once that still go first, and … */
    FEW_PART = 100,    /* … the part of handshakes_per_address that does in the long run */
};
static const double ROUND_SECONDS = 0.001; /* above, no more handshakes in this round */

void handshakes_init(struct web *w)
{
    for (size_t i = 0; i < WEB_HELLO_QUEUES; i++)
        TAILQ_INIT(&w->hellos[i]);
}

bool handshakes_count(struct web *w, const struct netaddr *client, bool *patient)
{
    double rate = (double)w->limits.handshakes_per_address;
    char text[NETADDR_TEXT];
    if (web_is_exempt(w, client) ||
        address_rate_take(w->handshakes, client, w->now, rate, rate * BURST_SECONDS)) {
        *patient = !address_rate_take(w->handshakes_first, client, w->now, rate / FEW_PART, FEW);
        return true;
    }
    w->counters.refused_handshakes++;
    offence_note(w, client, BAN_limits);
    web_event(w, &w->limit_log, "Too Many Handshakes",
              json_pack("{s:s, s:I}", "client", netaddr_print_ip(client, text), "limit",
                        (json_int_t)w->limits.handshakes_per_address));
    return false;
}

/* Before a ClientHello is complete nothing was spent on it. What was answered once is not left waiting. */
static bool was_answered(const struct conn *c)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(stream_ssl(c->stream));
    return state != TLS_ST_BEFORE && state != TLS_ST_SR_CLNT_HELLO;
}

/* Nobody who came earlier waits for the same, and the round has time left. */
static bool may_go_on_now(const struct conn *c)
{
    const struct web *w = c->web;
    if (!c->waits_for_turn)
        for (size_t i = 0; i <= c->patient; i++)
            if (!TAILQ_EMPTY(&w->hellos[i]))
                return false;
    return w->hellos_answered == 0 || clock_monotonic() - w->now < ROUND_SECONDS;
}

bool handshakes_may_go_on(struct conn *c)
{
    struct web *w = c->web;
    if (was_answered(c))
        return true;
    if (may_go_on_now(c)) {
        handshakes_leave(c);
        w->hellos_answered++;
        return true;
    }
    if (!c->waits_for_turn) {
        TAILQ_INSERT_TAIL(&w->hellos[c->patient], c, hello);
        w->counters.delayed_handshakes++;
    }
    c->waits_for_turn = true;
    return false;
}

void handshakes_leave(struct conn *c)
{
    if (c->waits_for_turn)
        TAILQ_REMOVE(&c->web->hellos[c->patient], c, hello);
    c->waits_for_turn = false;
}

void handshakes_round(struct web *w)
{
    struct conn *c;
    int asked = 0;
    if (w->hellos_answered > 0)
        (void)sched_yield(); /* a flood's work is never more urgent than another process's guests */
    w->hellos_answered = 0;
    for (size_t i = 0; i < WEB_HELLO_QUEUES; i++)
        TAILQ_FOREACH (c, &w->hellos[i], hello) {
            if (asked++ == ASKED_EACH_ROUND)
                return;
            stream_shake_hands(c->stream);
        }
}
