#include "common/admin/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/admin/admin_private.h"
#include "common/alarms.h"
#include "common/clock.h"
#include "common/daemon.h"
#include "common/fatal.h"
#include "common/file.h"

static const double retry_seconds = 5, calm_seconds = 600;

/* The worker -----------------------------------------------------------------------------------------------
 */

static void admin_send_setup(struct admin *a, struct worker *w)
{
    json_t *msg = json_pack("{ss ss ss* si}", "type", "setup", "box", a->kind == ADMIN_CORE ? "core" : "edge",
                            "pem", a->pem, "log_level", daemon_log_level());
    (void)worker_send(w, msg, &a->listener, a->listener >= 0);
}

static void admin_on_start(void *ctx, struct worker *w)
{
    admin_send_setup(ctx, w);
}

static void admin_on_message(void *ctx, struct worker *w, const char *type, json_t *msg, int *fds,
                             size_t n_fds)
{
    (void)w, (void)fds, (void)n_fds;
    if (strcmp(type, "call") == 0)
        admin_call(ctx, msg);
    else if (strcmp(type, "withdraw") == 0)
        admin_call_withdraw(ctx, json_integer_value(json_object_get(msg, "id")));
    else if (strcmp(type, "watched") == 0)
        ((struct admin *)ctx)->watched = json_is_true(json_object_get(msg, "by_anyone"));
}

static void admin_on_exit(void *ctx, struct worker *w, const char *how, bool stopped)
{
    (void)w, (void)how, (void)stopped; /* its answers are dropped by its pid */
    ((struct admin *)ctx)->watched = false;
}

static const struct worker_events admin_worker_events = {admin_on_start, admin_on_message, admin_on_exit};

struct worker *admin_worker(const struct admin *a)
{
    return a->worker;
}

/* What may fail and be tried again --------------------------------------------------------------------------
 */

static void admin_open_book(struct admin *a)
{
    char path[PATH_MAX], why[SCHEMA_WHY];
    if (a->book)
        return;
    if (admin_book_open(box_state_file(a->box, STORE_FILE, path), &a->book, why) == ERR_OK) {
        *a->book_problem = '\0';
        if (admin_known_load(a->book, a->limiter, why) != ERR_OK)
            log_event(LOG_ERR, "Admin Addresses Not Read", "reason=\"%s\"", why);
        if (admin_user_count(a->book) == 0)
            log_event(LOG_WARNING, "No Admin User", "remedy=\"stile-%s admin user add NAME\"",
                      a->kind == ADMIN_CORE ? "core" : "edge");
        return;
    }
    if (strcmp(a->book_problem, why) != 0)
        log_event(LOG_ERR, "Admin Database Not Opened", "reason=\"%s\"", why);
    snprintf(a->book_problem, sizeof a->book_problem, "%s", why);
}

static void admin_own_certificate(struct admin *a)
{
    char why[SCHEMA_WHY];
    if (a->pem || !a->own_certificate)
        return;
    if (admin_certificate_own(a->box, a->box->name, &a->pem, why) != ERR_OK)
        log_event(LOG_ERR, "Admin Certificate Not Made", "reason=\"%s\"", why);
    admin_certificate_fingerprint(a->pem, a->fingerprint);
}

static void admin_try(struct admin *a)
{
    bool enabled = a->box->config.admin.enabled, opened = false;
    admin_open_book(a);
    if (enabled)
        admin_own_certificate(a);
    if (enabled && a->pem && a->listener < 0) {
        admin_listener_open(a);
        opened = a->listener >= 0;
    }
    if (opened && !a->worker)
        a->worker = worker_new(a->loop, "admin", 0, &admin_worker_events, a);
    else if (opened)
        admin_send_setup(a, a->worker);
    if (!a->book || (enabled && a->listener < 0))
        ev_timer_again(a->loop, &a->retry);
    else
        ev_timer_stop(a->loop, &a->retry);
}

static void admin_on_retry(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    admin_try(t->data);
}

/* Live ------------------------------------------------------------------------------------------------------
 */

static void admin_push(struct admin *a, const char *event, const json_t *data)
{
    if (a->worker && a->watched)
        (void)worker_send(a->worker, json_pack("{ss ss sO}", "type", "live", "event", event, "data", data),
                          NULL, 0);
}

static void admin_on_event(void *ctx, const json_t *event)
{
    admin_push(ctx, "event", event);
}

static void admin_on_alarm(void *ctx, const json_t *alarm)
{
    admin_push(ctx, "alarm", alarm);
}

/* Attacks --------------------------------------------------------------------------------------------------
 */

#define ATTACK_SUBJECT "logins"

static void admin_on_calm(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    ev_timer_stop(loop, t);
    alarm_clear(ALARM_ADMIN_ATTACK, ATTACK_SUBJECT);
}

void admin_attack_seen(struct admin *a, const char *from)
{
    char detail[NETADDR_TEXT + 64];
    if (!ev_is_active(&a->calm)) { /* the first address is told, not each one */
        snprintf(detail, sizeof detail, "too many wrong passwords, the last one from %s", from);
        alarm_raise(ALARM_ADMIN_ATTACK, ATTACK_SUBJECT, detail);
    }
    ev_timer_again(a->loop, &a->calm);
}

/* Its life --------------------------------------------------------------------------------------------------
 */

struct admin *admin_new(struct ev_loop *loop, enum admin_box kind, const struct box *box,
                        const struct config_admin_place *place, struct requests *requests, const char *pem)
{
    struct admin *a = xcalloc(1, sizeof *a);
    *a = (struct admin){
        .loop = loop, .kind = kind, .box = box, .place = place, .requests = requests, .listener = -1};
    LIST_INIT(&a->tasks);
    a->sessions = admin_sessions_new();
    a->limiter = admin_limiter_new();
    a->hasher = admin_hasher_new(loop);
    REQUIRE(a->sessions && a->limiter && a->hasher);
    a->own_certificate = !pem;
    a->pem = pem ? xstrdup(pem) : NULL;
    admin_certificate_fingerprint(a->pem, a->fingerprint);
    ev_timer_init(&a->retry, admin_on_retry, 0, retry_seconds);
    a->retry.data = a;
    ev_timer_init(&a->calm, admin_on_calm, 0, calm_seconds);
    a->calm.data = a;
    requests_watch(requests, admin_audit_local, a);
    a->listener_of_events =
        (struct events_listener){.on_event = admin_on_event, .on_alarm = admin_on_alarm, .ctx = a};
    events_listen(&a->listener_of_events);
    admin_try(a);
    return a;
}

static void admin_close_listener(struct admin *a)
{
    if (a->listener >= 0)
        close(a->listener);
    a->listener = -1;
    *a->listening = '\0';
    *a->problem = '\0';
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    events_unlisten(&a->listener_of_events);
    ev_timer_stop(a->loop, &a->retry);
    ev_timer_stop(a->loop, &a->calm);
    worker_free(a->worker);
    admin_hasher_free(a->hasher);
    while (!LIST_EMPTY(&a->tasks))
        admin_task_free(LIST_FIRST(&a->tasks));
    admin_close_listener(a);
    admin_sessions_free(a->sessions);
    admin_limiter_free(a->limiter);
    admin_book_close(a->book);
    file_wipe(a->pem);
    free(a);
}

static bool admin_is_elsewhere(const struct admin *a, const struct config_admin_place *place)
{
    return a->place->port != place->port || !netaddr_equal_ip(&a->place->ip, &place->ip) ||
           strcmp(a->place->interface, place->interface) != 0;
}

void admin_configure(struct admin *a, const struct config_admin_place *place)
{
    bool moves = admin_is_elsewhere(a, place) || !a->box->config.admin.enabled;
    a->place = place;
    if (moves) {
        worker_free(a->worker); /* connections to the old place end, also the one that asked for this */
        a->worker = NULL;
        admin_close_listener(a);
    }
    admin_try(a);
}

void admin_set_certificate(struct admin *a, const char *pem)
{
    if (!pem || (a->pem && strcmp(pem, a->pem) == 0))
        return;
    file_wipe(a->pem);
    a->pem = xstrdup(pem);
    a->own_certificate = false;
    admin_certificate_fingerprint(a->pem, a->fingerprint);
    if (a->worker)
        worker_update(a->worker, "tls", json_pack("{ss ss}", "type", "tls", "pem", a->pem));
    else
        admin_try(a);
}

json_t *admin_status(struct admin *a)
{
    const char *problem = *a->problem ? a->problem : a->book_problem;
    return json_pack("{ss ss ss sI sI}", "listening", a->listening, "problem", problem, "fingerprint",
                     a->fingerprint, "sessions",
                     (json_int_t)admin_sessions_count(a->sessions, NULL, clock_monotonic()), "users",
                     (json_int_t)(a->book ? admin_user_count(a->book) : 0));
}
