#include "common/events_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alarms.h"
#include "common/events.h"
#include "common/schema.h"

enum { LIMIT_USUAL = 100, WAIT_MOST = 60 };

static void answer_typed(struct request *r, const char *type, json_t *answer)
{
    if (!answer || json_object_set_new(answer, "type", json_string(type)) < 0) {
        json_decref(answer);
        request_refuse(r, "out of memory");
        return;
    }
    request_answer(r, answer);
}

void alarms_request(void *ctx, struct request *r, const json_t *msg)
{
    (void)ctx;
    answer_typed(r, "alarms", alarms_json(json_is_true(json_object_get(msg, "all"))));
}

void alarm_ack_request(void *ctx, struct request *r, const json_t *msg)
{
    json_int_t number = json_integer_value(json_object_get(msg, "number"));
    const char *subject = json_string_value(json_object_get(msg, "subject")),
               *by = json_string_value(json_object_get(msg, "by"));
    (void)ctx;
    if (number < 1 || number > 9999 || !subject)
        request_refuse(r, "number and subject name an alarm");
    else if (!alarm_acknowledge((unsigned)number, subject, by))
        request_refuse(r, "this alarm is not raised (any more)");
    else
        answer_typed(r, "alarm_ack", alarm_json((unsigned)number, subject));
}

/* Events ------------------------------------------------------------------------------------------------- */

/* A question that waits for something to answer it with. */
struct waiting {
    struct events_listener listener;
    struct ev_loop *loop;
    ev_timer timer;   /* patience */
    ev_idle answer;   /* in the next round: not from inside of the listener */
    struct request *request;
    const json_t *msg;
};

static bool question_read(const json_t *msg, struct events_question *q)
{
    const char *level = json_string_value(json_object_get(msg, "level")),
               *text = json_string_value(json_object_get(msg, "text"));
    const json_t *limit = json_object_get(msg, "limit");
    json_int_t n = limit ? json_integer_value(limit) : LIMIT_USUAL;
    q->before = json_integer_value(json_object_get(msg, "before"));
    q->after = json_integer_value(json_object_get(msg, "after"));
    q->level = !level                           ? LOG_NOTICE
               : strcmp(level, "critical") == 0 ? LOG_CRIT
                                                : log_parse_level(level);
    q->text = text ? text : "";
    q->limit = n > EVENTS_ASKED_MAX ? EVENTS_ASKED_MAX : (int)n;
    return q->level >= 0 && n >= 1 && q->before >= 0 && q->after >= 0;
}

static json_t *question_ask(const json_t *msg, char *why)
{
    struct events_question q;
    snprintf(why, SCHEMA_WHY,
             "level is critical, error, warning or notice; limit, before and after are numbers above 0");
    return question_read(msg, &q) ? events_ask(&q, why) : NULL;
}

static void waiting_free(struct waiting *w)
{
    events_unlisten(&w->listener);
    ev_timer_stop(w->loop, &w->timer);
    ev_idle_stop(w->loop, &w->answer);
    free(w);
}

static void on_answer(struct ev_loop *loop, ev_idle *i, int revents)
{
    (void)revents;
    struct waiting *w = i->data;
    char why[SCHEMA_WHY];
    ev_idle_stop(loop, i);
    json_t *answer = question_ask(w->msg, why);
    if (answer && json_array_size(json_object_get(answer, "items")) == 0) {
        json_decref(answer);
        return; /* not what was meant: it waits on */
    }
    struct request *r = w->request;
    waiting_free(w);
    if (answer)
        answer_typed(r, "events", answer);
    else
        request_refuse(r, why);
}

static void on_event(void *ctx, const json_t *event)
{
    struct waiting *w = ctx;
    (void)event;
    ev_idle_start(w->loop, &w->answer);
}

static void on_patience(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct waiting *w = t->data;
    struct request *r = w->request;
    waiting_free(w);
    answer_typed(r, "events", json_pack("{s[]}", "items"));
}

static void on_gone(void *waiting)
{
    waiting_free(waiting);
}

static void events_wait(struct request *r, const json_t *msg, double seconds)
{
    struct waiting *w = calloc(1, sizeof *w);
    if (!w) {
        request_refuse(r, "out of memory");
        return;
    }
    *w = (struct waiting){.loop = ev_default_loop(0), .request = r, .msg = msg};
    w->listener = (struct events_listener){.on_event = on_event, .ctx = w};
    ev_idle_init(&w->answer, on_answer);
    ev_timer_init(&w->timer, on_patience, seconds < WAIT_MOST ? seconds : WAIT_MOST, 0);
    w->answer.data = w->timer.data = w;
    ev_timer_start(w->loop, &w->timer);
    events_listen(&w->listener);
    request_on_gone(r, on_gone, w);
}

void events_request(void *ctx, struct request *r, const json_t *msg)
{
    char why[SCHEMA_WHY];
    double seconds = json_number_value(json_object_get(msg, "wait"));
    json_t *answer = question_ask(msg, why);
    (void)ctx;
    if (!answer) {
        request_refuse(r, why);
    } else if (seconds > 0 && json_array_size(json_object_get(answer, "items")) == 0) {
        json_decref(answer);
        events_wait(r, msg, seconds);
    } else {
        answer_typed(r, "events", answer);
    }
}
