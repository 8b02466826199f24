#include "common/admin/admin_server.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/requests.h"
#include "common/sock.h"
#include "common/tls.h"

enum { ACCEPTS_PER_EVENT = 16 };

static const double accept_again = 0.5; /* seconds, when descriptors have run out */

/* Accepting ------------------------------------------------------------------------------------------------
 */

static void server_on_acceptable(struct ev_loop *loop, ev_io *io, int revents)
{
    struct admin_server *s = io->data;
    int on = 1;
    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        struct sockaddr_storage from;
        struct netaddr client;
        socklen_t n = sizeof from;
        int fd = accept4(io->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED) {
            ev_io_stop(loop, io);
            ev_timer_again(loop, &s->again);
        }
        if (fd < 0)
            return;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (s->tls && netaddr_from_sockaddr((const struct sockaddr *)&from, n, &client) == ERR_OK &&
            admin_places_for(s, &client))
            admin_conn_new(s, fd, &client);
        else
            close(fd);
    }
}

static void server_on_again(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct admin_server *s = t->data;
    (void)revents;
    ev_timer_stop(loop, t);
    if (s->accepter.fd >= 0)
        ev_io_start(loop, &s->accepter);
}

static void server_stop_listening(struct admin_server *s)
{
    ev_timer_stop(s->loop, &s->again);
    if (s->accepter.fd < 0)
        return;
    ev_io_stop(s->loop, &s->accepter);
    close(s->accepter.fd);
    s->accepter.fd = -1;
}

static void server_listen(struct admin_server *s, int fd)
{
    server_stop_listening(s);
    ev_io_init(&s->accepter, server_on_acceptable, fd, EV_READ);
    s->accepter.data = s;
    ev_io_start(s->loop, &s->accepter);
}

/* Main -----------------------------------------------------------------------------------------------------
 */

uint64_t admin_server_call(struct admin_server *s, const struct admin_conn *c, const struct admin_route *r,
                           json_t *args, bool quiet)
{
    char from[NETADDR_TEXT];
    const struct admin_credentials *k = &c->credentials;
    json_t *msg =
        json_pack("{ss sI sI ss ss ss ss sO sb sf}", "type", "call", "id", (json_int_t)(s->last_call + 1),
                  "route", (json_int_t)admin_route_index(r), "session", k->session, "bearer", k->bearer,
                  "csrf", k->csrf, "from", netaddr_print_ip(&c->client, from), "args", args, "quiet",
                  (int)quiet, "until", clock_monotonic() + REQUESTS_PATIENCE);
    if (!msg || ipc_send(s->main, msg, NULL, 0) != ERR_OK)
        return 0;
    return ++s->last_call;
}

void admin_server_withdraw(struct admin_server *s, uint64_t call)
{
    (void)ipc_send(s->main, json_pack("{ss sI}", "type", "withdraw", "id", (json_int_t)call), NULL, 0);
}

static struct admin_conn *server_caller(const struct admin_conns *list, uint64_t call)
{
    struct admin_conn *c;
    TAILQ_FOREACH (c, list, next)
        if (c->call == call)
            return c;
    return NULL;
}

static void server_answer(struct admin_server *s, const json_t *msg)
{
    uint64_t call = (uint64_t)json_integer_value(json_object_get(msg, "id"));
    struct admin_conn *c;
    if (call == 0 || admin_live_answer(s, call, msg))
        return;
    c = server_caller(&s->strangers, call);
    if (!c)
        c = server_caller(&s->proven, call);
    if (c)
        admin_conn_answer(c, msg);
}

/* Connections that are there keep the certificate that they began with. */
static void server_certificate(struct admin_server *s, const char *pem)
{
    char why[256];
    SSL_CTX *tls;
    if (!pem || tls_server_ctx(pem, pem, "\x08http/1.1", &tls, why, sizeof why) != ERR_OK) {
        log_event(LOG_ERR, "Admin Certificate Refused", "reason=\"%s\"", pem ? why : "there is none");
        return;
    }
    SSL_CTX_free(s->tls);
    s->tls = tls;
}

static void server_setup(struct admin_server *s, const json_t *msg)
{
    const char *box = json_string_value(json_object_get(msg, "box"));
    s->box = box && strcmp(box, "core") == 0 ? ADMIN_CORE : ADMIN_EDGE;
    json_t *openapi = admin_openapi(s->box);
    char *text = openapi ? json_dumps(openapi, JSON_COMPACT) : NULL;
    json_decref(openapi);
    json_decref(s->openapi_text);
    s->openapi_text = text ? json_string(text) : NULL;
    free(text);
    server_certificate(s, json_string_value(json_object_get(msg, "pem")));
}

void admin_server_message(struct admin_server *s, const char *type, json_t *msg, int *fds, size_t n_fds)
{
    if (strcmp(type, "setup") == 0)
        server_setup(s, msg);
    else if (strcmp(type, "tls") == 0)
        server_certificate(s, json_string_value(json_object_get(msg, "pem")));
    else if (strcmp(type, "answer") == 0)
        server_answer(s, msg);
    else if (strcmp(type, "live") == 0 && json_string_value(json_object_get(msg, "event")))
        admin_live_happened(s, json_string_value(json_object_get(msg, "event")),
                            json_object_get(msg, "data"));
    if (n_fds == 1 && (strcmp(type, "setup") == 0 || strcmp(type, "listen") == 0) &&
        sock_set_nonblock(fds[0])) {
        server_listen(s, fds[0]);
        fds[0] = -1;
    }
}

/* Its life -------------------------------------------------------------------------------------------------
 */

struct admin_server *admin_server_new(struct ev_loop *loop, struct ipc *main)
{
    struct admin_server *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = loop;
    s->main = main;
    s->accepter.fd = -1;
    TAILQ_INIT(&s->strangers);
    TAILQ_INIT(&s->proven);
    ev_timer_init(&s->again, server_on_again, 0, accept_again);
    s->again.data = s;
    admin_live_init(s);
    s->addresses = address_table_new(ADMIN_CONNECTIONS);
    if (s->addresses)
        return s;
    free(s);
    return NULL;
}

void admin_server_free(struct admin_server *s)
{
    struct admin_conn *c;
    server_stop_listening(s);
    while ((c = TAILQ_FIRST(&s->strangers)) != NULL)
        admin_conn_free(c);
    while ((c = TAILQ_FIRST(&s->proven)) != NULL)
        admin_conn_free(c);
    ev_timer_stop(s->loop, &s->tick);
    address_table_free(s->addresses);
    SSL_CTX_free(s->tls);
    json_decref(s->openapi_text);
    free(s);
}
