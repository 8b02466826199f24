/* Server-sent events: the same status for all who look, asked for once a second in the name of one of them,
 * each in its turn, so that main judges every session every few seconds. Who reads slowly misses some. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin/admin_server.h"
#include "common/ipc.h"

static const double live_seconds = 1;

enum { LIVE_BEHIND = 256 * 1024 }; /* bytes unread, above which events are left out */

/* "event: NAME", one line of data (JSON has no line ends), and the empty line. */
static void live_send(struct admin_conn *c, const char *name, const char *json, size_t behind)
{
    char head[64];
    int n = snprintf(head, sizeof head, "event: %s\ndata: ", name);
    if (stream_queued(c->stream) == 0)
        admin_conn_deadline(c, ADMIN_READ_SECONDS); /* it reads */
    if (stream_queued(c->stream) > behind || stream_room(c->stream) < strlen(json) + sizeof head + 2)
        return;
    if (stream_write(c->stream, head, (size_t)n) == ERR_OK &&
        stream_write(c->stream, json, strlen(json)) == ERR_OK)
        (void)stream_write(c->stream, "\n\n", 2);
}

static struct admin_conn *live_after(struct admin_server *s, struct admin_conn *c)
{
    struct admin_conn *next = c ? TAILQ_NEXT(c, next) : NULL;
    for (int rounds = 0; rounds < 2; rounds++) {
        for (next = next ? next : TAILQ_FIRST(&s->proven); next; next = TAILQ_NEXT(next, next))
            if (next->state == ADMIN_CONN_LIVE)
                return next;
    }
    return NULL;
}

static void live_on_tick(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct admin_server *s = t->data;
    if (s->live_call)
        return; /* main is slow: not faster than it */
    s->live_asker = live_after(s, s->live_asker);
    if (s->live_asker)
        s->live_call = admin_server_call(s, s->live_asker, s->live_asker->route, s->live_asker->args, true);
}

void admin_live_init(struct admin_server *s)
{
    ev_timer_init(&s->tick, live_on_tick, 0, live_seconds);
    s->tick.data = s;
}

/* Main pushes what happens only while somebody looks. */
static void live_say_watched(struct admin_server *s, bool watched)
{
    (void)ipc_send(s->main, json_pack("{ss sb}", "type", "watched", "by_anyone", (int)watched), NULL, 0);
}

void admin_live_happened(struct admin_server *s, const char *event, const json_t *data)
{
    struct admin_conn *c;
    char *text = json_dumps(data, JSON_COMPACT);
    TAILQ_FOREACH (c, &s->proven, next)
        if (text && c->state == ADMIN_CONN_LIVE)
            live_send(c, event, text, LIVE_BEHIND);
    free(text);
}

void admin_live_add(struct admin_conn *c, const json_t *status)
{
    struct admin_server *s = c->server;
    char *text = json_dumps(status, JSON_COMPACT);
    if (s->n_live++ == 0) {
        ev_timer_again(s->loop, &s->tick);
        live_say_watched(s, true);
    }
    if (text)
        live_send(c, "status", text, SIZE_MAX);
    free(text);
}

void admin_live_gone(struct admin_conn *c)
{
    struct admin_server *s = c->server;
    if (s->live_asker == c) {
        s->live_asker = NULL; /* its answer is dropped: whoever is next asks again */
        s->live_call = 0;
    }
    if (--s->n_live == 0) {
        ev_timer_stop(s->loop, &s->tick);
        live_say_watched(s, false);
    }
}

bool admin_live_answer(struct admin_server *s, uint64_t call, const json_t *msg)
{
    struct admin_conn *c, *asker = s->live_asker;
    if (!s->live_call || call != s->live_call)
        return false;
    s->live_call = 0;
    json_int_t status = json_integer_value(json_object_get(msg, "status"));
    if (status == 401 || status == 403) {
        admin_conn_free(asker); /* its session has ended */
        return true;
    }
    char *text = status == 200 ? json_dumps(json_object_get(msg, "body"), JSON_COMPACT) : NULL;
    TAILQ_FOREACH (c, &s->proven, next)
        if (text && c->state == ADMIN_CONN_LIVE)
            live_send(c, "status", text, 0);
    free(text);
    return true;
}
