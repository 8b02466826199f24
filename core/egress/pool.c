#include "core/egress/pool.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/fatal.h"

static const double closing_seconds = 5;

/* Life --------------------------------------------------------------------------------------------------- */

static size_t connections_most(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return limit.rlim_cur > 2 * POOL_SPARE_DESCRIPTORS ? limit.rlim_cur - POOL_SPARE_DESCRIPTORS
                                                       : limit.rlim_cur / 2;
}

void pool_init(struct pool *p, struct ev_loop *loop)
{
    *p = (struct pool){.loop = loop, .most = connections_most()};
    TAILQ_INIT(&p->closing);
    TAILQ_INIT(&p->domains);
}

static void pool_close_idle(struct target *t)
{
    while (!TAILQ_EMPTY(&t->idle))
        pool_discard(TAILQ_FIRST(&t->idle));
}

static void pool_close_all_idle(struct domain *d)
{
    struct target *t;
    TAILQ_FOREACH (t, &d->targets.all, next) {
        pool_close_idle(t);
    }
}

void pool_free(struct pool *p)
{
    struct domain *d;
    TAILQ_FOREACH (d, &p->domains, next) {
        pool_close_all_idle(d);
    }
    while (!TAILQ_EMPTY(&p->closing))
        pool_discard(TAILQ_FIRST(&p->closing));
    REQUIRE(p->n_connections == 0);
    domain_list_free(&p->domains);
}

/* Domains ----------------------------------------------------------------------------------------------- */

/* A session that a bridge gave us; returning 1 keeps the reference. Resuming skips the certificate: what was
 * verified against an earlier CA must not be resumed under the present one. The session is the target's, and
 * so its domain's. */
static int pool_on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct connection *c = SSL_get_app_data(ssl);
    if (!c || c->generation != c->target->domain->generation || !SSL_SESSION_is_resumable(session))
        return 0;
    SSL_SESSION_free(c->target->session);
    c->target->session = session;
    return 1;
}

enum err pool_prepare(const json_t *rows, struct domain_list *fresh, char *why, size_t why_size)
{
    TAILQ_INIT(fresh);
    return domain_list_read(rows, fresh, pool_on_session, why, why_size);
}

void pool_commit(struct pool *p, struct domain_list *fresh)
{
    struct domain *d, *known;
    TAILQ_FOREACH (d, &p->domains, next) {
        d->listed = false;
    }
    while ((d = TAILQ_FIRST(fresh)) != NULL) {
        TAILQ_REMOVE(fresh, d, next);
        known = domain_find(&p->domains, d->host);
        if (!known) {
            TAILQ_INSERT_TAIL(&p->domains, d, next);
            continue;
        }
        if (domain_update(known, d))
            pool_close_all_idle(known);
        domain_free(d);
    }
    TAILQ_FOREACH (d, &p->domains, next) {
        if (!d->listed)
            pool_set_targets(d, NULL);
    }
    domain_list_prune(&p->domains);
}

void pool_set_targets(struct domain *d, const json_t *rows)
{
    struct target *t;
    target_set_update(&d->targets, rows);
    TAILQ_FOREACH (t, &d->targets.all, next) {
        if (!t->active)
            pool_close_idle(t);
    }
    target_set_prune(&d->targets);
}

/* Idle connections --------------------------------------------------------------------------------------- */

static void connection_unlink_idle(struct connection *c)
{
    TAILQ_REMOVE(&c->target->idle, c, next);
    c->target->n_idle--;
    c->pool->n_idle--;
    c->idle = false;
}

/* Nothing was asked: whatever comes is no answer to the next request. */
static size_t idle_on_data(void *ctx, const uint8_t *data, size_t n)
{
    (void)data;
    pool_discard(ctx);
    return n;
}

static void idle_on_eof(void *ctx)
{
    pool_discard(ctx);
}

static void idle_on_close(void *ctx, enum err why, const char *words)
{
    (void)why, (void)words;
    pool_discard(ctx);
}

static const struct stream_events idle_events = {
    .on_data = idle_on_data,
    .on_eof = idle_on_eof,
    .on_close = idle_on_close,
};

/* The loop may not have come to its end yet, which is there already. */
static bool connection_is_quiet(const struct connection *c)
{
    uint8_t byte;
    SSL *ssl = stream_ssl(c->stream);
    ssize_t n = ssl ? recv(SSL_get_fd(ssl), &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) : 0;
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

struct connection *pool_take(struct pool *p, struct target *t, double max_idle,
                             const struct stream_events *events, void *ctx)
{
    struct connection *c;
    while ((c = TAILQ_FIRST(&t->idle)) != NULL && max_idle < POOL_ANY_AGE && !connection_is_quiet(c))
        pool_discard(c);
    if (!c || c->idle_until <= p->now || c->idle_since + max_idle < p->now)
        return NULL;
    connection_unlink_idle(c);
    c->reused = true;
    stream_set_events(c->stream, events, ctx);
    return c;
}

void pool_give(struct connection *c, double keep)
{
    struct pool *p = c->pool;
    struct target *t = c->target;
    if (c->generation != t->domain->generation || !t->active || keep <= 0) {
        pool_discard(c);
        return;
    }
    c->idle_since = p->now;
    c->idle_until = p->now + keep;
    c->idle = true;
    stream_set_events(c->stream, &idle_events, c);
    stream_resume(c->stream);
    TAILQ_INSERT_HEAD(&t->idle, c, next);
    t->n_idle++;
    p->n_idle++;
    if (t->n_idle > POOL_IDLE_MAX)
        pool_discard(TAILQ_LAST(&t->idle, connections));
}

static void pool_sweep_target(struct pool *p, struct target *t)
{
    struct connection *c = TAILQ_FIRST(&t->idle);
    while (c) {
        struct connection *next = TAILQ_NEXT(c, next);
        if (c->idle_until <= p->now) {
            (void)SSL_shutdown(stream_ssl(c->stream)); /* says goodbye; best effort */
            ERR_clear_error();
            pool_discard(c);
        }
        c = next;
    }
}

void pool_sweep(struct pool *p)
{
    struct domain *d;
    struct target *t;
    TAILQ_FOREACH (d, &p->domains, next) {
        TAILQ_FOREACH (t, &d->targets.all, next) {
            pool_sweep_target(p, t);
        }
    }
    struct connection *c;
    while ((c = TAILQ_FIRST(&p->closing)) != NULL &&
           (c->idle_until <= p->now || stream_queued(c->stream) == 0))
        pool_discard(c);
    domain_list_prune(&p->domains);
}

/* Closing ------------------------------------------------------------------------------------------------ */

static size_t closing_on_data(void *ctx, const uint8_t *data, size_t n)
{
    (void)ctx, (void)data;
    return n;
}

static const struct stream_events closing_events = {
    .on_data = closing_on_data,
    .on_close = idle_on_close,
};

void pool_close(struct connection *c)
{
    if (stream_queued(c->stream) == 0) {
        pool_discard(c);
        return;
    }
    c->idle_until = c->pool->now + closing_seconds;
    c->closing = true;
    TAILQ_INSERT_TAIL(&c->pool->closing, c, next);
    stream_set_events(c->stream, &closing_events, c);
    stream_shutdown(c->stream);
    stream_resume(c->stream);
}

/* Connections -------------------------------------------------------------------------------------------- */

/* A bridge that vanished without a word is noticed, however long nothing has to be sent (idle WebSockets). */
static void connection_watch(struct stream *s)
{
    SSL *ssl = stream_ssl(s);
    int fd = ssl ? SSL_get_fd(ssl) : -1, on = 1, idle = 60, interval = 15, count = 4, user_timeout_ms = 60000;
    if (fd < 0)
        return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

/* Some idle connection makes room for one that is needed. */
static bool pool_make_room(struct pool *p)
{
    struct domain *d;
    struct target *t;
    if (p->n_connections < p->most)
        return true;
    TAILQ_FOREACH (d, &p->domains, next) {
        TAILQ_FOREACH (t, &d->targets.all, next) {
            if (TAILQ_EMPTY(&t->idle))
                continue;
            pool_discard(TAILQ_LAST(&t->idle, connections));
            return true;
        }
    }
    return false;
}

struct connection *pool_connect(struct pool *p, struct target *t, const struct stream_events *events,
                                void *ctx)
{
    struct domain *d = t->domain;
    struct connection *c = pool_make_room(p) ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return NULL;
    c->pool = p;
    c->target = t;
    c->generation = d->generation;
    c->stream =
        stream_connect(p->loop, &t->addr, d->tls, d->host, events, ctx, CONNECTION_QUEUE, CONNECTION_LOW);
    if (!c->stream) {
        free(c);
        return NULL;
    }
    SSL *ssl = stream_ssl(c->stream);
    if (ssl) {
        SSL_set_app_data(ssl, c);
        if (t->session)
            SSL_set_session(ssl, t->session);
    }
    connection_watch(c->stream);
    t->n_connections++;
    p->n_connections++;
    return c;
}

void pool_discard(struct connection *c)
{
    if (c->idle)
        connection_unlink_idle(c);
    if (c->closing)
        TAILQ_REMOVE(&c->pool->closing, c, next);
    SSL *ssl = stream_ssl(c->stream);
    if (ssl) {
        /* Without this OpenSSL takes the end for a truncation and spoils the session for the next connection.
         */
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_set_app_data(ssl, NULL);
    }
    stream_free(c->stream);
    c->target->n_connections--;
    c->pool->n_connections--;
    free(c);
}
