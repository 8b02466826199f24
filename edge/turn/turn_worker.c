#include "edge/turn/turn_worker.h"

#include <malloc.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/sock.h"
#include "edge/turn/turn_account.h"
#include "edge/turn/turn_admission.h"
#include "edge/turn/turn_dtls.h"
#include "edge/turn/turn_mail.h"
#include "edge/turn/turn_server.h"
#include "edge/turn/turn_status.h"
#include "edge/turn/turn_tcp.h"
#include "edge/turn/turn_tcp_relay.h"
#include "edge/turn/turn_tls.h"
#include "edge/turn/turn_udp.h"

enum {
    SOCKET_BUFFER =
        4 * 1024 * 1024, /* of listening UDP sockets; without CAP_NET_ADMIN net.core.rmem_max is the limit */
    CONNECTIONS_LEAST = 256,
};

struct turn_worker {
    struct ev_loop *loop;
    struct turn_server *server;
    struct turn_udp *udp;
    struct turn_tcp *tcp;
    struct turn_dtls *dtls;
    struct turn_admission *admission;
    struct turn_tls tls;
    struct turn_tcp_relays *tcp_relays;
    ev_timer tick, sweep;
    ev_check begin_of_round; /* active while bandwidth is limited */
    bool busy;               /* there were allocations at the last tick */
};

static const char *const socket_words[][2] = {
#define X(name, word, words) {word, words},
    TURN_SOCKET_TABLE(X)
#undef X
};

const char *turn_socket_word(enum turn_socket_kind kind)
{
    return socket_words[kind][0];
}

const char *turn_socket_words(enum turn_socket_kind kind)
{
    return socket_words[kind][1];
}

bool turn_socket_kind_of(const char *word, enum turn_socket_kind *out)
{
    for (unsigned i = 0; i < TURN_SOCKET_KINDS; i++)
        if (strcmp(word, socket_words[i][0]) == 0) {
            *out = (enum turn_socket_kind)i;
            return true;
        }
    return false;
}

enum err turn_socket_open(enum turn_socket_kind kind, const struct netaddr *local, struct turn_socket *out)
{
    int fd = turn_socket_is_datagram(kind) ? sock_bind_udp(local, true) : sock_listen_tcp(local, true);
    if (fd < 0)
        return ERR_SYSTEM;
    if (turn_socket_is_datagram(kind)) {
        int size = SOCKET_BUFFER;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        sock_allow_fragments(fd, local->family);
    }
    *out = (struct turn_socket){.kind = kind, .fd = fd, .local = *local};
    return ERR_OK;
}

static uint32_t seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint32_t)now.tv_sec;
}

/* One clock for all packets of a round, the same in all workers. */
static void round_begins(struct ev_loop *loop, ev_check *w, int revents)
{
    (void)loop;
    (void)revents;
    struct turn_worker *worker = w->data;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    worker->server->moment = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void watch_rounds(struct turn_worker *w)
{
    if (w->server->limited) {
        ev_check_start(w->loop, &w->begin_of_round);
        round_begins(w->loop, &w->begin_of_round, 0);
    } else {
        ev_check_stop(w->loop, &w->begin_of_round);
    }
}

/* What one sweep may take: a millisecond, when all of it is allocations that end. Packets wait no longer. */
enum { SWEEP_MOST = 64 };
#define SWEEP_PAUSE 0.002 /* seconds between two, for packets */

static void sweep(struct turn_worker *w)
{
    if (turn_server_sweep(w->server, SWEEP_MOST))
        ev_timer_stop(w->loop, &w->sweep);
    else
        ev_timer_again(w->loop, &w->sweep);
}

static void on_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    sweep(w->data);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct turn_worker *worker = w->data;
    uint32_t now = seconds(CLOCK_MONOTONIC);
    turn_server_tick(worker->server, now, seconds(CLOCK_REALTIME));
    sweep(worker);
    turn_udp_tick(worker->udp);
    turn_tcp_tick(worker->tcp, now);
    turn_dtls_tick(worker->dtls, now);
    turn_tcp_relays_tick(worker->tcp_relays);
    bool busy = worker->server->allocations.count > 0;
    if (worker->busy && !busy)
        malloc_trim(0); /* what a rush took goes back when it is over */
    worker->busy = busy;
}

/* Connections get a quarter of the descriptors: each that is of use has an allocation, with a socket or two
 * of its own. */
static size_t connections_most(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 4 < CONNECTIONS_LEAST)
        return CONNECTIONS_LEAST;
    return (size_t)limit.rlim_cur / 4;
}

static enum err worker_make(struct turn_worker *w, struct turn_config *config,
                            const struct turn_socket *sockets, size_t n, int shared_fd, char *why,
                            size_t why_size)
{
    struct turn_shared *shared;
    struct netaddr *listening = calloc(n + 1, sizeof *listening);
    enum err e = turn_config_check(config, why, why_size);
    if (!listening)
        return ERR_MEMORY;
    for (size_t i = 0; i < n; i++)
        listening[i] = sockets[i].local;
    if (e == ERR_OK) {
        e = turn_shared_attach(shared_fd, config, &shared);
        snprintf(why, why_size, "memory of the workers: %s", err_str(e));
    }
    if (e == ERR_OK) {
        w->server = turn_server_new(config, shared, listening, n, &turn_udp_net_ops, w->udp,
                                    seconds(CLOCK_MONOTONIC), seconds(CLOCK_REALTIME));
        e = w->server ? ERR_OK : ERR_MEMORY;
    }
    free(listening);
    if (e != ERR_OK)
        return e;
    w->admission = turn_admission_new(&w->server->config, connections_most());
    if (!w->admission)
        return ERR_MEMORY;
    w->tcp = turn_tcp_new(w->loop, w->server, w->udp, w->admission, &w->tls);
    w->dtls = turn_dtls_new(w->loop, w->server, &turn_udp_dtls_ops, w->udp, w->admission, &w->tls);
    w->tcp_relays = turn_tcp_relays_new(w->loop, w->server, connections_most());
    return w->tcp && w->dtls && w->tcp_relays ? ERR_OK : ERR_MEMORY;
}

struct turn_worker *turn_worker_start(struct ev_loop *loop, struct turn_config *config,
                                      const struct turn_socket *sockets, size_t n_sockets, int shared_fd,
                                      char *why, size_t why_size)
{
    struct turn_worker *w = calloc(1, sizeof *w);
    size_t unused = 0;
    snprintf(why, why_size, "out of memory");
    if (!w)
        goto out;
    w->loop = loop;
    ev_check_init(&w->begin_of_round, round_begins);
    ev_set_priority(&w->begin_of_round, EV_MAXPRI); /* in front of the round's packets */
    w->begin_of_round.data = w;
    w->udp = turn_udp_new(loop);
    if (!w->udp || worker_make(w, config, sockets, n_sockets, shared_fd, why, why_size) != ERR_OK)
        goto out;
    unused = n_sockets; /* from here on they belong to the two sides */
    bool udp = turn_udp_listen(w->udp, w->server, w->dtls, sockets, n_sockets) == ERR_OK;
    bool tcp = turn_tcp_listen(w->tcp, sockets, n_sockets) == ERR_OK;
    if (!udp || !tcp)
        goto out;
    ev_timer_init(&w->tick, on_tick, 1.0, 1.0);
    w->tick.data = w;
    ev_timer_start(loop, &w->tick);
    ev_timer_init(&w->sweep, on_sweep, 0., SWEEP_PAUSE);
    w->sweep.data = w;
    watch_rounds(w);
    turn_config_free(config);
    return w;
out:
    for (size_t i = unused; i < n_sockets; i++)
        close(sockets[i].fd);
    turn_worker_stop(w);
    turn_config_free(config);
    return NULL;
}

void turn_worker_stop(struct turn_worker *w)
{
    if (!w)
        return;
    if (ev_is_active(&w->tick))
        ev_timer_stop(w->loop, &w->tick);
    ev_timer_stop(w->loop, &w->sweep);
    ev_check_stop(w->loop, &w->begin_of_round);
    turn_tcp_free(w->tcp);
    turn_tcp_relays_stop(w->tcp_relays);
    turn_dtls_free(w->dtls);
    if (w->server) {
        turn_udp_flush(w->udp); /* the alerts */
        turn_server_free(w->server);
    }
    turn_tcp_relays_free(w->tcp_relays);
    turn_udp_free(w->udp);
    turn_admission_free(w->admission);
    turn_tls_free(&w->tls);
    free(w);
}

enum err turn_worker_judge(const struct turn_worker *w, const struct turn_config *config, char *why,
                           size_t why_size)
{
    enum err e = turn_config_check(config, why, why_size);
    return e == ERR_OK ? turn_server_judge(w->server, config, why, why_size) : e;
}

enum err turn_worker_set_user(struct turn_worker *w, const struct turn_user *user)
{
    struct turn_server *s = w->server;
    return turn_account_put(&s->accounts, user, s->config.realm, s->shared);
}

void turn_worker_drop_user(struct turn_worker *w, const char *name)
{
    turn_account_drop(&w->server->accounts, name);
}

int turn_worker_mailbox(int fds[2])
{
    return turn_mailbox_make(fds);
}

void turn_worker_add_mailbox(struct turn_worker *w, uint32_t index, int fd)
{
    turn_tcp_relays_add_mailbox(w->tcp_relays, index, fd);
}

enum err turn_worker_reconfigure(struct turn_worker *w, struct turn_config *config, char *why,
                                 size_t why_size)
{
    enum err e = turn_config_check(config, why, why_size);
    if (e == ERR_OK) {
        e = turn_server_reconfigure(w->server, config, why, why_size);
        watch_rounds(w);
        turn_udp_configure(w->udp);
        return e;
    }
    turn_config_free(config);
    return e;
}

enum err turn_worker_tls(struct turn_worker *w, const json_t *certificates, char *why, size_t why_size)
{
    return turn_tls_set(&w->tls, certificates, why, why_size);
}

enum err turn_worker_certificate(struct turn_worker *w, const char *cert_pem, const char *key_pem, char *why,
                                 size_t why_size)
{
    return turn_tls_set_pem(&w->tls, cert_pem, key_pem, why, why_size);
}

enum err turn_worker_adopt(struct turn_worker *w, const struct turn_handed *h)
{
    return turn_tcp_adopt(w->tcp, h);
}

enum err turn_worker_set_own(struct turn_worker *w, const json_t *own_addresses)
{
    struct netaddr *own;
    size_t n;
    enum err e = turn_config_own_from_json(own_addresses, &own, &n);
    return e == ERR_OK ? turn_server_set_own(w->server, own, n) : e;
}

size_t turn_worker_allocations(const struct turn_worker *w)
{
    return w->server->allocations.count;
}

void turn_worker_drain(struct turn_worker *w)
{
    w->server->draining = true;
}

json_t *turn_worker_relay(const struct turn_worker *w, const struct netaddr *relayed)
{
    return turn_status_relay(w->server, relayed);
}

json_t *turn_worker_status(const struct turn_worker *w, size_t relays_most)
{
    return turn_status_json(w->server, w->admission, relays_most);
}
