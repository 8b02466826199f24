/*
 * What the tools of a box ask its daemon, over a Unix socket (local_server.h: root and the daemon's account
 * only): one message with the name of a verb as its type, one answer. Verbs that change something run alone,
 * in the order in which they came, and to their end even where the asker does not wait for it. So many wait
 * and no more; who was told that his did not run can rely on it.
 */
#ifndef COMMON_REQUESTS_H
#define COMMON_REQUESTS_H

#include <ev.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

/* How long a call (requests_call) waits for its turn, unless requests_set_patience says otherwise; then it is
 * refused and never runs. Shorter than the time after which those who ask for it give up. */
#define REQUESTS_PATIENCE 30.0 /* seconds */

struct requests;
struct request;

struct request_verb {
    const char *name;
    /* Answers now or later with request_answer. msg is good as long as r. */
    void (*run)(void *ctx, struct request *r, const json_t *msg);
    bool alone; /* waits until no other such request runs */
};

/* verbs ends with a zero row; verbs and ctx must outlive it. why[SCHEMA_WHY] on error. */
enum err requests_new(struct ev_loop *loop, const char *path, const struct request_verb *verbs, void *ctx,
                      struct requests **out, char *why);
/* Those that run are forgotten, after their `gone`; they must not be answered any more. NULL is fine. */
void requests_free(struct requests *s);
/* A request of the daemon itself: nobody waits for the answer. "by" in msg says what made it ("SIGHUP");
 * none: it belongs to something else. msg is stolen. */
void requests_submit(struct requests *s, json_t *msg);

/* Who asked, for people: what the message says in "by" (the asker is root or the daemon's account), else the
 * account at the other end. Returns out. */
const char *request_by(const struct request *r, char *out, size_t size);
/* Sees every answer to our own tools, and to requests_submit. by: as request_by says; NULL: the daemon's own
 * doing, which nobody has asked for by itself. */
typedef void requests_watcher(void *ctx, const json_t *msg, const char *by, const json_t *answer);
void requests_watch(struct requests *s, requests_watcher *watch, void *ctx);
bool requests_know(const struct requests *s, const char *verb);
/* A request of the daemon itself for somebody whom it knows (the admin service): answered(data, answer)
 * follows exactly once, perhaps from inside; answer is borrowed, and NULL when the server goes first. msg is
 * stolen; its "by" says who calls. False, and nothing follows: no such verb, or no memory. Where too many
 * wait for their turn, or this one has for too long, the answer is an error with "status" 503 and
 * "retry_after". */
bool requests_call(struct requests *s, json_t *msg, void (*answered)(void *data, json_t *answer), void *data);
void requests_set_patience(struct requests *s, double seconds);
/* The call with this data is not wanted any more. True: it had waited, and is gone without an answer. False:
 * it runs, and answers. */
bool requests_withdraw(struct requests *s, const void *data);

/* answer is stolen; r is gone. */
void request_answer(struct request *r, json_t *answer);
/* The answer that says why not: {"type":"error","reason":…}. */
void request_refuse(struct request *r, const char *reason);
/* When the asker of a verb that does not run alone has gone, or the server goes: gone(data), then r is freed
 * without an answer. */
void request_on_gone(struct request *r, void (*gone)(void *data), void *data);

#endif
