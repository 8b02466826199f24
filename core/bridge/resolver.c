#include "core/bridge/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "core/bridge/dns_answer.h"

enum {
    RESOLVER_SOCKETS_MAX = 16,
    RESOLVER_NAMES_MAX = 16,
    RESOLVER_TTL_MOST = 3600,
    RESOLVER_PATIENCE_MS = 2000
};

struct resolver_socket {
    ev_io io;
    struct resolver *owner;
    bool used;
};

struct resolver {
    struct ev_loop *loop;
    ares_channel channel;
    bool stale; /* the last query failed: /etc/resolv.conf is read again before the next */
    ev_timer timer;
    struct resolver_socket sockets[RESOLVER_SOCKETS_MAX];
    LIST_HEAD(, resolver_query) queries;
};

/* c-ares calls back with a pointer to one of these, also for queries that were cancelled: it outlives its
 * query. */
struct resolver_part {
    struct resolver_query *query; /* NULL: cancelled */
    char name[256];
    uint16_t port;
    unsigned priority, weight;
    LIST_ENTRY(resolver_part) next;
};

struct resolver_query {
    struct resolver *owner;
    char host[256];
    uint16_t port;
    resolver_done *done;
    void *ctx;
    struct resolver_address addresses[RESOLVER_ADDRESSES_MAX];
    size_t n;
    unsigned ttl;
    bool partial; /* some name's servers did not answer, or not with sense */
    char error[256];
    ev_timer finish; /* done is called from the loop, never from resolver_ask */
    LIST_HEAD(, resolver_part) parts;
    LIST_ENTRY(resolver_query) next;
};

/* c-ares on the loop ------------------------------------------------------------------------------------- */

static void resolver_set_timer(struct resolver *r)
{
    struct timeval tv, most = {.tv_sec = 5};
    ares_timeout(r->channel, &most, &tv);
    ev_timer_stop(r->loop, &r->timer);
    if (LIST_EMPTY(&r->queries))
        return;
    ev_timer_set(&r->timer, (double)tv.tv_sec + (double)tv.tv_usec / 1e6, 0);
    ev_timer_start(r->loop, &r->timer);
}

static void resolver_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct resolver *r = t->data;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver_set_timer(r);
}

static void resolver_on_socket(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    struct resolver_socket *s = w->data;
    struct resolver *r = s->owner;
    ares_process_fd(r->channel, revents & EV_READ ? w->fd : ARES_SOCKET_BAD,
                    revents & EV_WRITE ? w->fd : ARES_SOCKET_BAD);
    resolver_set_timer(r);
}

static void resolver_on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = ctx;
    struct resolver_socket *s = NULL;
    for (size_t i = 0; i < RESOLVER_SOCKETS_MAX; i++)
        if (r->sockets[i].used && r->sockets[i].io.fd == fd)
            s = &r->sockets[i];
    for (size_t i = 0; !s && i < RESOLVER_SOCKETS_MAX; i++)
        if (!r->sockets[i].used)
            s = &r->sockets[i];
    if (!s)
        return; /* its timeout ends that query */
    ev_io_stop(r->loop, &s->io);
    s->used = readable || writable;
    if (!s->used)
        return;
    ev_io_set(&s->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    ev_io_start(r->loop, &s->io);
}

static bool resolver_open(struct resolver *r)
{
    struct ares_options options = {.timeout = RESOLVER_PATIENCE_MS,
                                   .tries = 2,
                                   .sock_state_cb = resolver_on_state,
                                   .sock_state_cb_data = r};
    return ares_init_options(&r->channel, &options,
                             ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) == ARES_SUCCESS;
}

/* c-ares reads /etc/resolv.conf once; a box that moved to another network, or that came up before its DHCP,
 * has a new one. */
static void resolver_reopen(struct resolver *r)
{
    ares_channel old = r->channel;
    r->stale = false;
    if (resolver_open(r))
        ares_destroy(old);
    else
        r->channel = old;
}

struct resolver *resolver_new(struct ev_loop *loop)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->loop = loop;
    LIST_INIT(&r->queries);
    for (size_t i = 0; i < RESOLVER_SOCKETS_MAX; i++) {
        ev_init(&r->sockets[i].io, resolver_on_socket);
        r->sockets[i].io.data = &r->sockets[i];
        r->sockets[i].owner = r;
    }
    ev_init(&r->timer, resolver_on_timer);
    r->timer.data = r;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS || !resolver_open(r)) {
        free(r);
        return NULL;
    }
    return r;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    while (!LIST_EMPTY(&r->queries))
        resolver_cancel(LIST_FIRST(&r->queries));
    ares_destroy(r->channel); /* calls back for every part that is left */
    ares_library_cleanup();
    ev_timer_stop(r->loop, &r->timer);
    for (size_t i = 0; i < RESOLVER_SOCKETS_MAX; i++)
        ev_io_stop(r->loop, &r->sockets[i].io);
    free(r);
}

/* One query ---------------------------------------------------------------------------------------------- */

static void query_free(struct resolver_query *q)
{
    struct resolver_part *part;
    while ((part = LIST_FIRST(&q->parts)) != NULL) {
        LIST_REMOVE(part, next);
        part->query = NULL; /* freed when c-ares calls back */
    }
    ev_timer_stop(q->owner->loop, &q->finish);
    LIST_REMOVE(q, next);
    free(q);
}

void resolver_cancel(struct resolver_query *q)
{
    query_free(q);
}

static void query_on_finish(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct resolver_query *q = t->data;
    if (!LIST_EMPTY(&q->parts))
        return; /* c-ares answered one name at once while others were still being asked */
    struct resolver_answer answer = {
        .addresses = q->addresses,
        .n = q->n,
        .ttl = q->ttl,
        .partial = q->partial,
        .error = q->n && !q->partial ? NULL : q->error,
    };
    q->owner->stale = q->n == 0 || q->partial;
    q->done(q->ctx, &answer);
    query_free(q);
}

static void query_finish_if_complete(struct resolver_query *q)
{
    if (LIST_EMPTY(&q->parts))
        ev_timer_start(q->owner->loop, &q->finish);
}

static void query_add(struct resolver_query *q, const struct resolver_part *part, const struct netaddr *addr)
{
    if (q->n == RESOLVER_ADDRESSES_MAX)
        return;
    struct resolver_address *a = &q->addresses[q->n++];
    snprintf(a->name, sizeof a->name, "%s", part->name);
    a->addr = *addr;
    a->addr.port = part->port;
    a->priority = part->priority;
    a->weight = part->weight;
}

/* Whether a name has no addresses is an answer; that nobody knows is none. */
static bool is_answer(int status)
{
    return status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

static void query_words(struct resolver_query *q, const char *name, int status)
{
    if (!is_answer(status))
        q->partial = true;
    snprintf(q->error, sizeof q->error, "DNS: %s: %s", name, ares_strerror(status));
}

static void query_bound_ttl(struct resolver_query *q, int ttl)
{
    if (ttl >= 0 && (unsigned)ttl < q->ttl)
        q->ttl = (unsigned)ttl;
}

static void part_on_addresses(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
    (void)timeouts;
    struct resolver_part *part = ctx;
    struct resolver_query *q = part->query;
    if (q) {
        LIST_REMOVE(part, next);
        if (status != ARES_SUCCESS)
            query_words(q, part->name, status);
        for (struct ares_addrinfo_node *node = info ? info->nodes : NULL; node; node = node->ai_next) {
            struct netaddr addr;
            if (netaddr_from_sockaddr(node->ai_addr, (socklen_t)node->ai_addrlen, &addr) != ERR_OK)
                continue;
            query_add(q, part, &addr);
            query_bound_ttl(q, node->ai_ttl);
        }
        for (struct ares_addrinfo_cname *alias = info ? info->cnames : NULL; alias; alias = alias->next)
            query_bound_ttl(q, alias->ttl);
        query_finish_if_complete(q);
    }
    if (info)
        ares_freeaddrinfo(info);
    free(part);
}

static struct resolver_part *query_part(struct resolver_query *q, const char *name, uint16_t port,
                                        unsigned priority, unsigned weight)
{
    struct resolver_part *part = calloc(1, sizeof *part);
    if (!part) {
        q->partial = true; /* this name is there, with addresses or not */
        snprintf(q->error, sizeof q->error, "out of memory");
        return NULL;
    }
    part->query = q;
    snprintf(part->name, sizeof part->name, "%s", name);
    part->port = port;
    part->priority = priority;
    part->weight = weight;
    LIST_INSERT_HEAD(&q->parts, part, next);
    return part;
}

static void query_ask_addresses(struct resolver_query *q, const char *name, uint16_t port, unsigned priority,
                                unsigned weight)
{
    static const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
    struct netaddr ip;
    struct resolver_part *part = query_part(q, name, port, priority, weight);
    if (!part)
        return;
    if (netaddr_parse(name, 0, &ip) == ERR_OK) {
        query_add(q, part, &ip);
        LIST_REMOVE(part, next);
        free(part);
        return;
    }
    ares_getaddrinfo(q->owner->channel, name, NULL, &hints, part_on_addresses, part);
}

static void part_on_srv(void *ctx, int status, int timeouts, unsigned char *data, int n)
{
    (void)timeouts;
    struct resolver_part *part = ctx;
    struct resolver_query *q = part->query;
    struct ares_srv_reply *list = NULL;
    size_t names = 0;
    if (!q) {
        free(part);
        return;
    }
    LIST_REMOVE(part, next);
    if (status == ARES_SUCCESS) {
        status = ares_parse_srv_reply(data, n, &list);
        q->ttl = dns_answer_ttl(data, (size_t)n, q->ttl);
    }
    for (struct ares_srv_reply *srv = list; srv && names < RESOLVER_NAMES_MAX; srv = srv->next) {
        if (!srv->host || strcmp(srv->host, "") == 0 || strcmp(srv->host, ".") == 0)
            continue;
        query_ask_addresses(q, srv->host, srv->port, srv->priority, srv->weight);
        names++;
    }
    if (!is_answer(status)) /* nobody knows whether there is such a record */
        query_words(q, part->name, status);
    else if (!list)
        query_ask_addresses(q, q->host, q->port, RESOLVER_NO_SRV_PRIORITY, 0);
    else if (names == 0) /* RFC 2782: the service is decidedly not available */
        snprintf(
            q->error, sizeof q->error,
            "DNS: %s says that there is no bridge (target \".\"); mend it, or list the targets in stile.json",
            part->name);
    ares_free_data(list);
    free(part);
    query_finish_if_complete(q);
    resolver_set_timer(q->owner);
}

struct resolver_query *resolver_ask(struct resolver *r, const char *host, uint16_t port, const char *srv_name,
                                    resolver_done *done, void *ctx)
{
    struct resolver_query *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    if (r->stale && LIST_EMPTY(&r->queries))
        resolver_reopen(r);
    q->owner = r;
    q->port = port;
    q->done = done;
    q->ctx = ctx;
    q->ttl = RESOLVER_TTL_MOST;
    snprintf(q->host, sizeof q->host, "%s", host);
    LIST_INIT(&q->parts);
    ev_timer_init(&q->finish, query_on_finish, 0, 0);
    q->finish.data = q;
    LIST_INSERT_HEAD(&r->queries, q, next);
    struct netaddr ip;
    struct resolver_part *part = NULL;
    if (srv_name && netaddr_parse(host, 0, &ip) != ERR_OK)
        part = query_part(q, srv_name, 0, 0, 0);
    if (part)
        ares_query(r->channel, srv_name, ns_c_in, ns_t_srv, part_on_srv, part);
    else
        query_ask_addresses(q, host, port, RESOLVER_NO_SRV_PRIORITY, 0);
    query_finish_if_complete(q);
    resolver_set_timer(r);
    return q;
}
