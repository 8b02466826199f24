/*
 * The HTTP server of the admin worker: connections over TLS, HTTP/1.1, files of the page, and calls of the
 * API, which main answers. It knows nothing of the box. Bounded: connections in total and per address, bytes
 * of a head and a body, bodies that are large, answers that wait to be read, and the time of each step. When
 * it is full, the oldest connection that has not shown who it is makes room; who has shown it has so many
 * places, and some are kept for those who are about to (admin_places.c).
 */
#ifndef COMMON_ADMIN_SERVER_H
#define COMMON_ADMIN_SERVER_H

#include <ev.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/address_table.h"
#include "common/admin/admin_credentials.h"
#include "common/admin/admin_route.h"
#include "common/stream.h"
#include "proto/http1_body.h"
#include "proto/http1_head.h"

enum {
    ADMIN_CONNECTIONS = 256,
    ADMIN_CONNECTIONS_PER_ADDRESS = 32,
    ADMIN_CONNECTIONS_PER_USER = 16, /* or token; a browser has 6 at most */
    ADMIN_PROVEN_MAX = 192,          /* of all connections; the others are for those who log in */
    ADMIN_HEAD_MAX = 16 * 1024,
    ADMIN_BODY_MAX = 16 * 1024,             /* of most routes; of big ones: */
    ADMIN_BIG_BODY_MAX = 2 * ADMIN_BIG_MAX, /* escapes make a text longer */
    ADMIN_BIG_BODIES = 4,                   /* at a time */
    ADMIN_LIVE_MAX = 32,                    /* streams of events, */
    ADMIN_LIVE_PER_USER = 8,
    ADMIN_QUEUE_MAX = 24 * 1024 * 1024,  /* bytes of one answer, */
    ADMIN_QUEUED_MAX = 96 * 1024 * 1024, /* of all that are on their way */
};

/* Seconds. */
#define ADMIN_HEAD_SECONDS   10.0 /* TLS and a head */
#define ADMIN_BODY_SECONDS   30.0
#define ADMIN_ANSWER_SECONDS 60.0 /* main's, to what has begun by then */
#define ADMIN_READ_SECONDS   60.0 /* an answer is read, and the next request begins */

struct admin_server;

enum { ADMIN_WHO_TEXT = 96 }; /* as main calls somebody */

enum admin_conn_state {
    ADMIN_CONN_HEAD, /* a head is to come, or is coming */
    ADMIN_CONN_BODY,
    ADMIN_CONN_WAITING, /* for main */
    ADMIN_CONN_LIVE,    /* sends events */
    ADMIN_CONN_CLOSING, /* has said its last */
};

struct admin_conn {
    struct admin_server *server;
    struct stream *stream;
    struct netaddr client;
    TAILQ_ENTRY(admin_conn) next;
    enum admin_conn_state state;
    bool proven; /* has shown who it is: in server->proven, else in server->strangers */
    char who[ADMIN_WHO_TEXT];
    enum admin_role role;
    ev_timer deadline;
    struct http_message request;
    struct http1_head head;
    size_t scanned;
    bool begun; /* a byte of the next head has come */
    struct http1_body framing;
    struct buf body;
    bool big; /* counts among the large bodies */
    struct admin_credentials credentials;
    const struct admin_route *route;
    json_t *args;
    uint64_t call; /* under way; 0: none */
};

TAILQ_HEAD(admin_conns, admin_conn);

struct admin_server {
    struct ev_loop *loop;
    struct ipc *main;
    enum admin_box box;
    SSL_CTX *tls;
    ev_io accepter; /* fd -1: none yet */
    ev_timer again; /* accepting, when descriptors had run out */
    struct address_table *addresses;
    struct admin_conns strangers, proven;
    size_t n, n_live;
    uint64_t last_call;
    json_t *openapi_text;
    ev_timer tick; /* admin_live.c: while there are live ones */
    uint64_t live_call;
    struct admin_conn *live_asker;
};

/* NULL when memory is out. */
struct admin_server *admin_server_new(struct ev_loop *loop, struct ipc *main);
void admin_server_free(struct admin_server *s);
/* Messages of main: "setup" and "tls", "listen" (with the socket), "answer". */
void admin_server_message(struct admin_server *s, const char *type, json_t *msg, int *fds, size_t n_fds);
/* Sends main a call; returns its number, 0 when main does not read. */
uint64_t admin_server_call(struct admin_server *s, const struct admin_conn *c, const struct admin_route *r,
                           json_t *args, bool quiet);

/* Nobody waits for its answer any more: if it has not begun, it never does. */
void admin_server_withdraw(struct admin_server *s, uint64_t call);

/* admin_conn.c. fd is taken. */
void admin_conn_new(struct admin_server *s, int fd, const struct netaddr *client);
void admin_conn_free(struct admin_conn *c);
/* Main's answer to its call. */
void admin_conn_answer(struct admin_conn *c, const json_t *msg);
/* It goes on with what it does, for so long. */
void admin_conn_deadline(struct admin_conn *c, double seconds);
/* admin_places.c. A place for one more stranger; a stranger may be gone for it. */
bool admin_places_for(struct admin_server *s, const struct netaddr *client);
/* Its last answer says who it is; others than c may be gone after it. */
void admin_place_prove(struct admin_conn *c, const char *who, enum admin_role role);
/* Its last answer says that it is nobody (any more). */
void admin_place_forget(struct admin_conn *c);
/* One more stream of events. */
bool admin_place_may_live(const struct admin_conn *c);
/* admin_reply.c: the whole answer to its request; body NULL: none. type NULL: JSON. extra: one more field or
 * NULL. */
struct admin_reply {
    unsigned status;
    const char *type;
    const void *body;
    size_t n;
    const char *allow, *cookie;
    long retry_after; /* 0: not said */
    bool head, close;
};
/* ERR_FULL: too much is on its way; nothing was written. */
enum err admin_reply_write(struct admin_conn *c, const struct admin_reply *r);
/* The head of a stream of events. */
enum err admin_reply_events(struct admin_conn *c);
/* {"error": {"message": words}} */
enum err admin_reply_error(struct admin_conn *c, unsigned status, const char *words, bool close);
/* admin_live.c */
void admin_live_init(struct admin_server *s);
void admin_live_add(struct admin_conn *c, const json_t *status);
void admin_live_gone(struct admin_conn *c);
/* Main says that something has. */
void admin_live_happened(struct admin_server *s, const char *event, const json_t *data);
/* True when the answer was to a call of its own. */
bool admin_live_answer(struct admin_server *s, uint64_t call, const json_t *msg);
/* admin_openapi.c: the description; NULL when memory is out. */
json_t *admin_openapi(enum admin_box box);

#endif
