/* Connect, ConnectionBind and ConnectionAttempt, RFC 6062. */
#include "edge/turn/turn_peer_connection.h"

#include <stdlib.h>
#include <string.h>

#include "edge/turn/turn_auth.h"
#include "edge/turn/turn_later.h"
#include "edge/turn/turn_permission.h"
#include "edge/turn/turn_reply.h"

enum { DRAWS = 8 };

const char *turn_connection_state_words(enum turn_connection_state s)
{
    static const char *const words[] = {
#define X(name, text) text,
        TURN_CONNECTION_STATE_TABLE(X)
#undef X
    };
    return words[s];
}

/* Making and ending ------------------------------------------------------------------------------------- */

static struct turn_peer_connection *connection_find(const struct turn_server *s, uint32_t id)
{
    uint32_t hash = hashmap_hash(&s->connections, &id, sizeof id);
    for (struct hashmap_node *at = hashmap_find(&s->connections, hash); at; at = hashmap_find_next(at)) {
        struct turn_peer_connection *c = hashmap_entry(at, struct turn_peer_connection, node);
        if (c->id == id)
            return c;
    }
    return NULL;
}

static struct turn_peer_connection *connection_with(const struct turn_allocation *a,
                                                    const struct netaddr *peer)
{
    struct turn_peer_connection *c;
    LIST_FOREACH (c, &a->connections, link)
        if (netaddr_equal(&c->peer, peer))
            return c;
    return NULL;
}

/* 0 and a connection without id, or the error code. */
static int connection_new(struct turn_relay *r, const struct netaddr *peer, struct turn_peer_connection **out)
{
    struct turn_server *s = r->server;
    struct turn_allocation *a = r->allocation;
    if (a->n_connections >= s->config.connections_max || s->n_connections >= s->connections_most)
        return 508;
    if (!turn_shared_connection_sit(s->shared, &s->config, a->account->id, &a->seat))
        return 486;
    struct turn_peer_connection *c = calloc(1, sizeof *c);
    if (!c) {
        turn_shared_connection_leave(s->shared, &a->seat);
        return 508;
    }
    c->relay = r;
    c->peer = *peer;
    c->socket.fd = -1;
    LIST_INSERT_HEAD(&a->connections, c, link);
    a->n_connections++;
    s->n_connections++;
    *out = c;
    return 0;
}

/* A number that nobody can guess, under which every worker finds it; it waits for its ConnectionBind then. */
static bool connection_name(struct turn_peer_connection *c)
{
    struct turn_server *s = c->relay->server;
    const struct turn_allocation *a = c->relay->allocation;
    enum err e = ERR_EXISTS;
    for (int i = 0; e == ERR_EXISTS && i < DRAWS; i++) {
        turn_server_random(s, &c->id, sizeof c->id);
        if (c->id)
            e = turn_connection_add(turn_shared_connections(s->shared), c->id, s->config.worker_index,
                                    turn_auth_owner(a->account, a->credentials_end), &c->row);
    }
    if (e != ERR_OK) {
        c->id = 0;
        return false;
    }
    const struct turn_relay *first = a->relays[TURN_IPV4] ? a->relays[TURN_IPV4] : a->relays[TURN_IPV6];
    turn_shared_connection_pays(s->shared, c->row, first->index, first->port, &a->seat);
    hashmap_insert(&s->connections, &c->node, hashmap_hash(&s->connections, &c->id, sizeof c->id));
    c->state = TURN_CONNECTION_WAITING;
    turn_wheel_move(&s->connection_ends, &c->end, turn_server_due(s, TURN_BIND_SECONDS));
    s->counters.events[TURN_EVENT_peer_connections]++;
    return true;
}

/* What has been passed on counts for the allocation. */
static void connection_count(struct turn_peer_connection *c)
{
    struct turn_allocation *a = c->relay->allocation;
    if (!c->row || !turn_connection_there(c->row, c->id))
        return;
    a->from_client.bytes += atomic_load(&c->row->from_client);
    a->to_client.bytes += atomic_load(&c->row->to_client);
}

static void connection_free(struct turn_peer_connection *c)
{
    struct turn_server *s = c->relay->server;
    struct turn_allocation *a = c->relay->allocation;
    if (c->id) {
        connection_count(c);
        turn_connection_release(c->row, c->id);
        hashmap_remove(&s->connections, &c->node);
    }
    if (c->state == TURN_CONNECTION_AWAY) {
        LIST_REMOVE(c, away);
        s->stream_ops->tell(s->streams, c->taker, c->id);
    }
    LIST_REMOVE(c, link);
    a->n_connections--;
    s->n_connections--;
    turn_shared_connection_leave(s->shared, &a->seat);
    turn_wheel_remove(&c->end);
    turn_later_free(c->later);
    free(c);
}

static void connection_close(struct turn_peer_connection *c)
{
    struct turn_server *s = c->relay->server;
    s->stream_ops->close(s->streams, c);
    connection_free(c);
}

void turn_peer_connections_close(struct turn_relay *r)
{
    struct turn_peer_connection *c, *next;
    for (c = r->allocation ? LIST_FIRST(&r->allocation->connections) : NULL; c; c = next) {
        next = LIST_NEXT(c, link);
        if (c->relay == r)
            connection_close(c);
    }
}

void turn_peer_connection_ended(struct turn_peer_connection *c)
{
    c->splice = NULL;
    connection_free(c);
}

static void connect_refused(struct turn_peer_connection *c, int code)
{
    struct turn_later *later = c->later;
    c->later = NULL;
    connection_close(c);
    turn_later_fail(later, code);
}

/* Nobody has answered, or nobody has come for it. */
void turn_peer_connection_expired(void *server, struct turn_timer *t)
{
    (void)server;
    struct turn_peer_connection *c =
        (struct turn_peer_connection *)(void *)((char *)t - offsetof(struct turn_peer_connection, end));
    if (c->state == TURN_CONNECTION_CONNECTING)
        connect_refused(c, 447);
    else
        connection_close(c);
}

/* Connect ----------------------------------------------------------------------------------------------- */

/* Where the peer is for us: a relay of this edge is reached by the address it is bound to. Only TCP relays
 * are; on the port of another one something else of this box may listen. */
static bool connect_target(struct turn_server *s, const struct netaddr *peer, struct netaddr *to)
{
    int own = turn_server_relay_index(s, peer);
    *to = *peer;
    if (own < 0)
        return true;
    memcpy(to->ip, s->config.relays[own].bind.ip, sizeof to->ip);
    return turn_shared_port_is_tcp(s->shared, (size_t)own, peer->port);
}

/* RFC 6062 §5.2 */
int turn_method_connect(struct turn_request *r, struct turn_reply *reply)
{
    struct turn_server *s = r->server;
    struct turn_allocation *a = r->allocation;
    struct stun_value value = stun_get(&r->msg, STUN_XOR_PEER_ADDRESS);
    struct turn_peer_connection *c;
    struct netaddr peer, from, to;
    (void)reply;
    if (!a->tcp || !value.at)
        return 400;
    int code = turn_request_peer(r, value, false, &peer);
    if (code)
        return code;
    if (connection_with(a, &peer))
        return 446;
    struct turn_relay *relay = a->relays[turn_family(&peer)];
    if (!connect_target(s, &peer, &to))
        return 447;
    code = connection_new(relay, &peer, &c);
    if (code)
        return code;
    from = s->config.relays[relay->index].bind;
    from.port = relay->port;
    enum err e = s->stream_ops->connect(s->streams, c, &from, &to);
    if (e == ERR_OK)
        c->later = turn_later_keep(r);
    if (!c->later) {
        connection_close(c);
        return e == ERR_EXISTS ? 446 : e == ERR_FULL || e == ERR_OK ? 508 : 447;
    }
    turn_wheel_add(&s->connection_ends, &c->end, turn_server_due(s, TURN_CONNECT_SECONDS));
    return TURN_ANSWER_LATER;
}

void turn_peer_connection_failed(struct turn_peer_connection *c)
{
    connect_refused(c, 447);
}

void turn_peer_connection_connected(struct turn_peer_connection *c)
{
    struct turn_later *later = c->later;
    if (!connection_name(c)) {
        connect_refused(c, 508);
        return;
    }
    c->later = NULL;
    turn_later_succeed(later, c->id);
}

/* ConnectionAttempt ------------------------------------------------------------------------------------- */

/* RFC 6062 §5.3 */
static void attempt_indicate(const struct turn_peer_connection *c)
{
    struct turn_server *s = c->relay->server;
    struct turn_client *client = &c->relay->allocation->client;
    uint8_t message[128], transaction[STUN_TRANSACTION];
    struct stun_writer w;
    size_t n;
    turn_server_random(s, transaction, sizeof transaction);
    stun_begin(&w, message, sizeof message, STUN_METHOD_CONNECTION_ATTEMPT, STUN_INDICATION, transaction);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &c->peer);
    stun_put_u32(&w, STUN_CONNECTION_ID, c->id);
    if (stun_end(&w, &n) == ERR_OK)
        client->ops->reply(client, message, n);
}

bool turn_peer_connection_accepted(struct turn_relay *r, int fd, const struct netaddr *from)
{
    struct turn_server *s = r->server;
    struct netaddr peer = turn_server_canonical(s, from);
    struct turn_permission *p = r->allocation ? turn_permission_find(r->allocation, &peer) : NULL;
    struct turn_peer_connection *c;
    if (!p) {
        turn_drop(s, TURN_DROP_no_permission);
        return false;
    }
    if (p->port_counts && turn_policy_judge(s->policy, &peer) != TURN_PEER_ALLOWED) {
        turn_drop(s, TURN_DROP_peer_refused);
        return false;
    }
    if (connection_new(r, &peer, &c) != 0) {
        s->counters.events[TURN_EVENT_peer_connections_refused]++;
        return false;
    }
    if (!connection_name(c)) {
        s->counters.events[TURN_EVENT_peer_connections_refused]++;
        connection_free(c);
        return false;
    }
    c->socket.fd = fd;
    attempt_indicate(c);
    return true;
}

/* ConnectionBind ---------------------------------------------------------------------------------------- */

struct turn_connection_bind {
    LIST_ENTRY(turn_connection_bind) link; /* server->binds */
    struct turn_server *server;
    struct turn_client *client;
    struct turn_later *later;
    struct turn_join join;
};

static void bind_free(struct turn_connection_bind *b)
{
    LIST_REMOVE(b, link);
    b->client->bind = NULL;
    turn_later_free(b->later);
    free(b);
}

void turn_connection_bind_cancel(struct turn_connection_bind *b)
{
    struct turn_server *s = b->server;
    turn_connection_release(b->join.row, b->join.id);
    s->stream_ops->tell(s->streams, b->join.owner, b->join.id);
    bind_free(b);
}

/* The connection is another worker's: it is asked for. */
static int bind_abroad(struct turn_request *r, const struct turn_join *j)
{
    struct turn_server *s = r->server;
    struct turn_connection_bind *b = calloc(1, sizeof *b);
    struct turn_later *later = turn_later_keep(r);
    if (!b || !later || s->stream_ops->ask(s->streams, j->owner, j->id) != ERR_OK) {
        turn_connection_release(j->row, j->id);
        s->stream_ops->tell(s->streams, j->owner, j->id);
        turn_later_free(later);
        free(b);
        return 500;
    }
    b->server = s;
    b->client = r->client;
    b->later = later;
    b->join = *j;
    r->client->bind = b;
    LIST_INSERT_HEAD(&s->binds, b, link);
    return TURN_ANSWER_LATER;
}

static int bind_here(struct turn_request *r, struct turn_join *j)
{
    struct turn_server *s = r->server;
    struct turn_peer_connection *c = connection_find(s, j->id);
    struct turn_later *later = c ? turn_later_keep(r) : NULL;
    if (!c)
        return 400;
    if (!later) {
        connection_close(c);
        return 508;
    }
    turn_wheel_remove(&c->end);
    c->state = TURN_CONNECTION_JOINED;
    j->connection = c;
    j->fd = c->socket.fd;
    c->socket.fd = -1;
    turn_later_succeed(later, 0);
    s->stream_ops->join(s->streams, r->client, j);
    return TURN_ANSWER_LATER;
}

/* RFC 6062 §5.4. Who asks for a connection of another user learns no more than who guesses. */
int turn_method_connection_bind(struct turn_request *r, struct turn_reply *reply)
{
    struct turn_server *s = r->server;
    struct turn_join j = {.fd = -1};
    (void)reply;
    if (!r->client->ops->give || !s->stream_ops || r->allocation || r->client->bind ||
        stun_get_u32(&r->msg, STUN_CONNECTION_ID, &j.id) != ERR_OK)
        return 400;
    if (turn_connection_take(turn_shared_connections(s->shared), j.id,
                             turn_auth_owner(r->account, r->credentials_end), s->config.worker_index,
                             &j.owner, &j.row) != ERR_OK)
        return 400;
    return j.owner == s->config.worker_index ? bind_here(r, &j) : bind_abroad(r, &j);
}

bool turn_connection_bind_handed(struct turn_server *s, uint32_t id, int fd)
{
    struct turn_connection_bind *b;
    LIST_FOREACH (b, &s->binds, link)
        if (b->join.id == id)
            break;
    if (!b)
        return false;
    struct turn_client *client = b->client;
    struct turn_join j = b->join;
    struct turn_later *later = b->later;
    j.fd = fd;
    b->later = NULL;
    bind_free(b);
    turn_later_succeed(later, 0);
    s->stream_ops->join(s->streams, client, &j);
    return true;
}

/* Other workers ----------------------------------------------------------------------------------------- */

void turn_peer_connection_asked(struct turn_server *s, uint32_t worker, uint32_t id)
{
    struct turn_peer_connection *c = connection_find(s, id);
    if (!c || c->state != TURN_CONNECTION_WAITING || !turn_connection_taken_by(c->row, id, worker))
        return; /* who asked has gone already, or is not who took it */
    if (s->stream_ops->hand(s->streams, worker, id, c->socket.fd) != ERR_OK) {
        connection_close(c);
        return;
    }
    s->stream_ops->close(s->streams, c); /* ours; the other worker has its own copy */
    turn_wheel_remove(&c->end);
    c->state = TURN_CONNECTION_AWAY;
    s->counters.events[TURN_EVENT_peer_connections_handed]++;
    c->taker = worker;
    LIST_INSERT_HEAD(&s->away, c, away);
}

void turn_peer_connection_told(struct turn_server *s, uint32_t id)
{
    struct turn_peer_connection *c = connection_find(s, id);
    if (c && c->state != TURN_CONNECTION_JOINED && !turn_connection_there(c->row, id))
        connection_close(c);
}

void turn_peer_connections_sweep(struct turn_server *s)
{
    struct turn_peer_connection *c, *next;
    for (c = LIST_FIRST(&s->away); c; c = next) {
        next = LIST_NEXT(c, away);
        if (!turn_connection_there(c->row, c->id))
            connection_free(c);
    }
}
