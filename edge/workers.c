#include "edge/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/admin/admin_worker.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/syscall_filter.h"
#include "edge/turn/turn_worker.h"
#include "edge/web/web_worker.h"

enum { TURN_SOCKETS_MAX = IPC_FDS_MAX - 1, STATUS_RELAYS_MAX = 2000 /* of all workers */ };

/* Web: the module speaks main's language itself. -------------------------------------------------------- */

static void *web_make(struct ev_loop *loop, struct ipc *main)
{
    return web_worker_new(loop, main);
}

static void web_message(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    web_worker_message(worker, type, msg, fds, n_fds);
}

static void web_drain(void *worker, double seconds)
{
    web_worker_drain(worker, seconds);
}

static void web_free(void *worker)
{
    web_worker_free(worker);
}

/* TURN: from messages to calls. ------------------------------------------------------------------------- */

struct turn_process {
    struct ev_loop *loop;
    struct ipc *main;
    struct turn_worker *worker; /* NULL until setup */
    struct turn_config users; /* users only: those of the "users" messages before the next setup or prepare */
    struct turn_config next;  /* prepared, not committed; realm NULL: nothing is */
    char problem[256];        /* what was wrong with a part of the users; "": nothing */
    ev_timer drain;           /* looks whether it is over */
    double drain_until;       /* monotonic */
};

static const double drain_look = 0.25;

/* Over with the last allocation: relays are not cut while there is time. */
static void turn_on_drain(struct ev_loop *loop, ev_timer *t, int revents)
{
    const struct turn_process *p = t->data;
    (void)revents;
    if (turn_worker_allocations(p->worker) == 0 || clock_monotonic() >= p->drain_until)
        ev_break(loop, EVBREAK_ALL);
}

static void *turn_make(struct ev_loop *loop, struct ipc *main)
{
    struct turn_process *p = calloc(1, sizeof *p);
    if (p) {
        p->loop = loop;
        p->main = main;
        ev_timer_init(&p->drain, turn_on_drain, 0, drain_look);
        p->drain.data = p;
    }
    return p;
}

/* Wrong ones change nothing: main has judged them before. */
static void turn_tls(struct turn_process *p, const json_t *msg)
{
    char why[256];
    if (turn_worker_tls(p->worker, json_object_get(msg, "tls"), why, sizeof why) != ERR_OK)
        log_event(LOG_ERR, "Certificate Refused", "reason=\"%s\"", why);
}

/* A part of the users: too many for one message. What is wrong is said when they are taken in. */
static void turn_users(struct turn_process *p, const json_t *msg)
{
    char why[256];
    if (*p->problem ||
        turn_config_users_from_json(&p->users, json_object_get(msg, "users"), why, sizeof why) == ERR_OK)
        return;
    snprintf(p->problem, sizeof p->problem, "%s", why);
}

/* The config of msg with the users that came before it. */
static enum err turn_take_config(struct turn_process *p, const json_t *msg, struct turn_config *out,
                                 char *why, size_t why_size)
{
    enum err e = turn_config_from_json(json_object_get(msg, "config"), out, why, why_size);
    if (e == ERR_OK && *p->problem) {
        snprintf(why, why_size, "%s", p->problem);
        turn_config_free(out);
        e = ERR_CONFIG;
    } else if (e == ERR_OK && out->n_users == 0) {
        out->users = p->users.users;
        out->n_users = p->users.n_users;
        p->users = (struct turn_config){0};
    }
    turn_config_free(&p->users);
    *p->problem = '\0';
    return e;
}

/* Answers a question of main's: taken over, or why not. */
static void turn_say(struct turn_process *p, const json_t *msg, const char *reason)
{
    json_t *answer =
        json_pack("{ss sI}", "type", "changed", "id", json_integer_value(json_object_get(msg, "id")));
    if (answer && reason)
        json_object_set_new(answer, "reason", json_string(reason));
    (void)ipc_send(p->main, answer, NULL, 0);
}

/* Everything that can be wrong is found here, so that commit has nothing to refuse. */
static void turn_prepare(struct turn_process *p, const json_t *msg)
{
    char why[256] = "out of memory";
    turn_config_free(&p->next);
    enum err e = turn_take_config(p, msg, &p->next, why, sizeof why);
    if (e == ERR_OK)
        e = turn_worker_judge(p->worker, &p->next, why, sizeof why);
    if (e != ERR_OK)
        turn_config_free(&p->next);
    turn_say(p, msg, e == ERR_OK ? NULL : why);
}

static void turn_commit(struct turn_process *p, const json_t *msg)
{
    char why[256] = "nothing was prepared";
    enum err e = p->next.realm ? turn_worker_reconfigure(p->worker, &p->next, why, sizeof why) : ERR_CONFIG;
    turn_say(p, msg, e == ERR_OK ? NULL : why);
}

/* One user added, changed or (without keys) gone. */
static void turn_user(struct turn_process *p, const json_t *msg)
{
    char why[256] = "out of memory";
    struct turn_config one = {0};
    json_t *user = json_object_get(msg, "user"), *list = json_pack("[O]", user);
    const char *name = json_string_value(json_object_get(user, "name"));
    enum err e = list && name ? ERR_OK : ERR_MEMORY;
    if (e == ERR_OK && json_object_get(user, "key")) {
        e = turn_config_users_from_json(&one, list, why, sizeof why);
        if (e == ERR_OK)
            e = turn_worker_set_user(p->worker, &one.users[0]);
    } else if (e == ERR_OK) {
        turn_worker_drop_user(p->worker, name);
    }
    turn_config_free(&one);
    json_decref(list);
    turn_say(p, msg, e == ERR_OK ? NULL : why);
}

static void turn_setup(struct turn_process *p, const json_t *msg, int *fds, size_t n_fds)
{
    struct turn_config config;
    struct turn_socket sockets[TURN_SOCKETS_MAX];
    const json_t *list = json_object_get(msg, "sockets");
    size_t n = json_array_size(list);
    char why[256] = "setup message malformed";
    if (p->worker || n_fds == 0 || n != n_fds - 1 || n > TURN_SOCKETS_MAX)
        goto fail;
    for (size_t i = 0; i < n; i++) {
        const char *kind = json_string_value(json_object_get(json_array_get(list, i), "kind"));
        const char *local = json_string_value(json_object_get(json_array_get(list, i), "local"));
        sockets[i] = (struct turn_socket){.fd = fds[i]};
        if (!kind || !local || netaddr_parse(local, 0, &sockets[i].local) != ERR_OK ||
            !turn_socket_kind_of(kind, &sockets[i].kind))
            goto fail;
    }
    if (turn_take_config(p, msg, &config, why, sizeof why) != ERR_OK)
        goto fail;
    for (size_t i = 0; i < n; i++)
        fds[i] = -1; /* the worker's from here on */
    p->worker = turn_worker_start(p->loop, &config, sockets, n, fds[n_fds - 1], why, sizeof why);
    if (p->worker) {
        if (json_object_get(msg, "tls"))
            turn_tls(p, msg);
        (void)ipc_send(p->main, json_pack("{ss}", "type", "ready"), NULL, 0);
        return;
    }
fail:
    log_event(LOG_ERR, "Worker Not Set Up", "reason=\"%s\"", why);
    ev_break(p->loop, EVBREAK_ALL);
}

/* A connection that a web worker has taken on 443. Main hears of it either way: it counts those under way. */
static void turn_adopt(struct turn_process *p, const json_t *msg, int *fds, size_t n_fds)
{
    const char *client = json_string_value(json_object_get(msg, "client")),
               *server = json_string_value(json_object_get(msg, "server"));
    struct turn_handed h = {.fd = n_fds == 1 ? fds[0] : -1, .tls = json_is_true(json_object_get(msg, "tls"))};
    if (p->worker && h.fd >= 0 && client && server && netaddr_parse(client, 0, &h.client) == ERR_OK &&
        netaddr_parse(server, 0, &h.server) == ERR_OK) {
        fds[0] = -1;
        (void)turn_worker_adopt(p->worker, &h);
    }
    (void)ipc_send(p->main, json_pack("{ss sO}", "type", "adopted", "web", json_object_get(msg, "web")), NULL,
                   0);
}

static void turn_status(struct turn_process *p, const json_t *msg)
{
    bool brief = json_is_true(json_object_get(msg, "brief"));
    json_t *status = turn_worker_status(p->worker, brief ? 0 : STATUS_RELAYS_MAX);
    const char *relay = json_string_value(json_object_get(msg, "relay"));
    struct netaddr relayed;
    if (relay && netaddr_parse(relay, 0, &relayed) == ERR_OK)
        json_object_set_new(status, "relay", turn_worker_relay(p->worker, &relayed));
    (void)ipc_send(p->main,
                   json_pack("{ss sI so}", "type", "status", "id",
                             json_integer_value(json_object_get(msg, "id")), "turn", status),
                   NULL, 0);
}

static void turn_roll_back(struct turn_process *p, const json_t *msg)
{
    (void)msg;
    turn_config_free(&p->next);
}

/* Mailboxes of the turn workers from `first` on: their own, or what the others write to. */
static void turn_mailboxes(struct turn_process *p, const json_t *msg, int *fds, size_t n_fds)
{
    json_int_t first = json_integer_value(json_object_get(msg, "first"));
    if (!p->worker || first < 0 || first > TURN_WORKERS_MAX)
        return;
    for (size_t i = 0; i < n_fds; i++) {
        turn_worker_add_mailbox(p->worker, (uint32_t)first + (uint32_t)i, fds[i]);
        fds[i] = -1;
    }
}

/* Addresses of this box have come or gone. */
static void turn_addresses(struct turn_process *p, const json_t *msg)
{
    enum err e = turn_worker_set_own(p->worker, json_object_get(msg, "own_addresses"));
    if (e != ERR_OK)
        log_event(LOG_ERR, "Own Addresses Not Taken Over", "reason=\"%s\"", err_str(e));
}

static void turn_message(void *worker, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    static const struct {
        const char *type;
        void (*run)(struct turn_process *p, const json_t *msg);
        bool before_setup;
    } messages[] = {{"status", turn_status, false},
                    {"users", turn_users, true},
                    {"tls", turn_tls, false},
                    {"user", turn_user, false},
                    {"prepare", turn_prepare, false},
                    {"commit", turn_commit, false},
                    {"rollback", turn_roll_back, false},
                    {"addresses", turn_addresses, false}};
    struct turn_process *p = worker;
    if (strcmp(type, "setup") == 0)
        turn_setup(p, msg, fds, n_fds);
    else if (strcmp(type, "adopt") == 0)
        turn_adopt(p, msg, fds, n_fds);
    else if (strcmp(type, "mailboxes") == 0)
        turn_mailboxes(p, msg, fds, n_fds);
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (strcmp(type, messages[i].type) == 0 && (p->worker || messages[i].before_setup))
            messages[i].run(p, msg);
}

static void turn_drain(void *worker, double seconds)
{
    struct turn_process *p = worker;
    if (!p->worker) {
        ev_break(p->loop, EVBREAK_ALL);
        return;
    }
    turn_worker_drain(p->worker);
    p->drain_until = clock_monotonic() + seconds;
    ev_timer_start(p->loop, &p->drain);
}

static void turn_free(void *worker)
{
    struct turn_process *p = worker;
    ev_timer_stop(p->loop, &p->drain);
    turn_worker_stop(p->worker);
    turn_config_free(&p->users);
    turn_config_free(&p->next);
    free(p);
}

const struct worker_role edge_worker_roles[] = {
    {"web", web_make, web_message, web_drain, web_free, RIGHT_ACCEPT | RIGHT_PAIR, NULL},
    {"turn", turn_make, turn_message, turn_drain, turn_free,
     RIGHT_ACCEPT | RIGHT_DIAL | RIGHT_DATAGRAM | RIGHT_BIND, NULL},
    ADMIN_WORKER_ROLE,
    {0},
};

int edge_workers_command(int argc, char **argv)
{
    return worker_process_run(edge_worker_roles, argc, argv);
}
