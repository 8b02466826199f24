/* What the files of the service in main share. */
#ifndef COMMON_ADMIN_PRIVATE_H
#define COMMON_ADMIN_PRIVATE_H

#include <stdint.h>
#include <sys/queue.h>

#include "common/admin/admin.h"
#include "common/admin/admin_book.h"
#include "common/admin/admin_hasher.h"
#include "common/admin/admin_limiter.h"
#include "common/admin/admin_sessions.h"
#include "common/events.h"
#include "common/log.h"
#include "common/netaddr.h"

enum { ADMIN_WHO_MAX = ADMIN_NAME_MAX + 16 };

struct admin {
    struct ev_loop *loop;
    enum admin_box kind;
    const struct box *box;
    const struct config_admin_place *place;
    struct requests *requests;
    struct worker *worker;
    bool watched; /* somebody looks: the worker is told what happens */
    int listener; /* -1: none, for this reason: */
    char problem[SCHEMA_WHY], listening[NETADDR_TEXT + 32];
    char *pem, fingerprint[100];
    bool own_certificate;    /* self-made */
    ev_timer retry;          /* socket or database */
    struct admin_book *book; /* NULL: it does not work */
    char book_problem[SCHEMA_WHY];
    struct admin_sessions *sessions;
    struct admin_limiter *limiter;
    struct admin_hasher *hasher;
    struct log_limit refused_log;
    ev_timer calm;                             /* while an attack is an alarm */
    struct events_listener listener_of_events; /* while the service runs in main */
    LIST_HEAD(, admin_task) tasks;
};

/* One thing that is asked for, from its coming to its answer. */
struct admin_task {
    LIST_ENTRY(admin_task) next;
    struct admin *admin;
    const struct admin_route *route; /* NULL: a tool of the box asks */
    const char *word;                /* of verb "admin" */
    json_t *args;
    char who[ADMIN_WHO_MAX], from[NETADDR_TEXT];
    enum admin_role role;
    struct netaddr client;
    char session[128];             /* it came with; "": none */
    bool proven;                   /* it is known who asks, */
    bool ended;                    /* but not after this, */
    bool refused;                  /* who may not */
    char record[ADMIN_RECORD_MAX]; /* of the password that was judged */
    json_int_t call;               /* of the worker process with this pid, */
    pid_t worker;
    /* Or of a tool. */
    void (*reply)(void *data, const json_t *answer);
    void *data;
};

/* admin.c: logins from this address are held back. */
void admin_attack_seen(struct admin *a, const char *from);
/* admin_task.c */
struct admin_task *admin_task_new(struct admin *a, const json_t *args);
/* Answers, audits what was a change, and frees. answer (borrowed) as verbs give it: with "type"; "error" has
 * "reason" and perhaps "status", of HTTP. NULL: nobody could answer. */
void admin_task_end(struct admin_task *t, const json_t *answer);
void admin_task_refuse(struct admin_task *t, unsigned status, const char *reason);
void admin_task_free(struct admin_task *t);
/* What a tool of the box has changed by a verb that is not ours. */
void admin_audit_local(void *admin, const json_t *msg, const char *by, const json_t *answer);
/* admin_call.c: messages of the worker. */
void admin_call(struct admin *a, const json_t *msg);
/* Nobody waits for the answer: it is not begun if it has not been. */
void admin_call_withdraw(struct admin *a, json_int_t call);
/* admin_own.c: what verb "admin" means. */
void admin_own_run(struct admin_task *t);
/* The same for a tool of the box, which has said "verb" in its message, by somebody; reply follows once. */
void admin_own_tool(struct admin_task *t, const char *by, void (*reply)(void *data, const json_t *answer),
                    void *data);
/* admin_listener.c */
void admin_listener_open(struct admin *a);
/* admin_certificate.c: the self-made one, made if there is none that lasts. *pem is the caller's to wipe and
 * free. */
enum err admin_certificate_own(const struct box *box, const char *name, char **pem, char *why);
/* "AB:CD:…", SHA-256 of the first certificate; "" where there is none. */
void admin_certificate_fingerprint(const char *pem, char out[100]);

#endif
