/* What turn workers are told: sockets, relay addresses, users, peers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/file.h"
#include "common/gather.h"
#include "common/log.h"
#include "edge/edge.h"
#include "edge/edge_relays.h"
#include "edge/turn/turn_shared.h"
#include "edge/web/handover.h"

enum { CONFIG_FILE_MAX = 4 * 1024 * 1024 };

/* Puts the problem into why with its line, if the file has the key at pointer; else false. */
static bool edge_turn_say(const struct edge *e, const char *pointer, const char *problem, char *why)
{
    char path[PATH_MAX], unused[SCHEMA_WHY], *text;
    json_t *json = NULL, *at;
    if (file_read(box_file(e->box, BOX_CONFIG, path), CONFIG_FILE_MAX, &text, NULL, unused, sizeof unused) !=
        ERR_OK)
        text = NULL;
    const struct schema_source source = {.file = path, .text = text};
    at = json = text ? json_loads(text, 0, NULL) : NULL;
    char *copy = strdup(pointer), *rest = NULL;
    for (char *key = copy ? strtok_r(copy, "/", &rest) : NULL; key; key = strtok_r(NULL, "/", &rest))
        at = json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10)) : json_object_get(at, key);
    bool found = copy && at;
    if (found)
        (void)schema_problem(&source, pointer, why, "%s", problem);
    free(copy);
    json_decref(json);
    free(text);
    return found;
}

static void local_addresses_read(struct local_addresses *local)
{
    local->n = listeners_local_addresses(local->list, LOCAL_ADDRESSES_MAX);
}

json_t *edge_turn_own_addresses(const struct edge *e)
{
    struct local_addresses local;
    local_addresses_read(&local);
    return edge_own_addresses(e->self, &local);
}

static json_t *edge_turn_relays(const struct edge *e, const struct config *c, const struct config_edge *self,
                                const struct local_addresses *local, char *why)
{
    char key[RELAYS_POINTER], pointer[RELAYS_POINTER + 32], problem[SCHEMA_WHY];
    json_t *relays = edge_relays(self, local, key, problem);
    snprintf(pointer, sizeof pointer, "/edges/%td%s", self - config_edge_at(c, 0), key);
    if (!relays && !(*key && edge_turn_say(e, pointer, problem, why)))
        snprintf(why, SCHEMA_WHY, "%s", problem);
    return relays;
}

/* Where clients go that this edge has no room for: all edges have the same ports, as a rule. */
static json_t *edge_alternates(const struct config *c, const struct config_edge *self)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->edges.n; i++) {
        const struct config_edge *other = config_edge_at(c, i);
        if (other != self && other->public_address)
            json_array_append_new(list, json_string(other->public_address));
    }
    return list;
}

/* From the lowest to the highest relay port of any edge. */
static json_t *edge_cluster_ports(const struct config *c, const struct config_edge *self)
{
    long first = self->relay_ports[0], last = self->relay_ports[1];
    for (size_t i = 0; i < c->edges.n; i++) {
        const struct config_edge *other = config_edge_at(c, i);
        first = other->relay_ports[0] < first ? other->relay_ports[0] : first;
        last = other->relay_ports[1] > last ? other->relay_ports[1] : last;
    }
    return json_pack("[II]", (json_int_t)first, (json_int_t)last);
}

json_t *edge_turn_config(const struct edge *e, const struct config *c, const struct secrets *secrets,
                         unsigned index, char *why)
{
    const struct config_turn *turn = &c->turn;
    const struct config_edge *self = config_edge_find(c, e->box->name);
    struct local_addresses local;
    REQUIRE(self);
    local_addresses_read(&local);
    json_t *relays = edge_turn_relays(e, c, self, &local, why);
    if (!relays)
        return NULL;
    snprintf(why, SCHEMA_WHY, "turn: out of memory");
    json_t *quota = json_pack(
        "{sI sI sI sI sI sI sI sI sI sI}", "total", (json_int_t)turn->total_quota, "user",
        (json_int_t)turn->user_quota, "address", (json_int_t)turn->address_quota, "permissions",
        (json_int_t)turn->permissions_per_allocation, "channels", (json_int_t)turn->channels_per_allocation,
        "allocation_kbps", (json_int_t)turn->allocation_kbps, "user_kbps", (json_int_t)turn->user_kbps,
        "challenges", (json_int_t)turn->challenge_limit, "connections",
        (json_int_t)turn->connections_per_allocation, "user_connections", (json_int_t)turn->user_connections);
    json_t *lifetime = json_pack("{sI sI}", "default", (json_int_t)turn->allocation_lifetime.default_s,
                                 "longest", (json_int_t)turn->allocation_lifetime.longest);
    json_t *config = json_pack(
        "{ss so s[II] so so so so so so so so ss s{sisi} so ss ss ss}", "realm", turn->realm, "relays",
        relays, "relay_ports", (json_int_t)self->relay_ports[0], (json_int_t)self->relay_ports[1],
        "shared_secrets", schema_strings_json(&secrets->turn_shared_secrets), "password_algorithms",
        schema_strings_json(&turn->password_algorithms), "allow_peers",
        schema_strings_json(&turn->allow_peers), "deny_peers", schema_strings_json(&turn->deny_peers),
        "own_addresses", edge_own_addresses(self, &local), "cluster_addresses", edge_cluster_addresses(c, self),
        "cluster_ports", edge_cluster_ports(c, self), "quota",
        quota, "nonce_key", secrets->turn_nonce_key, "worker", "index", (int)index, "count", (int)e->n_turn,
        "lifetime", lifetime, "binding", turn->binding, "channel_numbers", turn->channel_numbers, "gso",
        turn->gso);
    if (config) {
        json_object_set_new(config, "tcp_relays", json_boolean(turn->tcp_relays));
        json_object_set_new(config, "alternate_servers", edge_alternates(c, self));
        json_object_set_new(config, "alternate_domain", json_string(c->join_host));
    }
    if (config && turn->software)
        json_object_set_new(config, "software", json_string("Stile"));
    return config;
}

/* TURN connections from web workers ---------------------------------------------------------------------- */

static unsigned handing_of(const struct edge *e, unsigned web)
{
    unsigned sum = 0;
    for (size_t t = 0; t < e->n_turn; t++)
        sum += e->handing[t][web];
    return sum;
}

static void tell_handed(struct edge *e, size_t web)
{
    (void)worker_send(e->web[web], json_pack("{ss}", "type", "handed"), NULL, 0);
}

/* In turn: each is one client, and what it will cost nobody knows yet. */
static struct worker *next_running(struct edge *e)
{
    for (size_t i = 0; i < e->n_turn; i++) {
        struct worker *w = e->turn[e->next_turn++ % e->n_turn];
        if (w && worker_running(w))
            return w;
    }
    return NULL;
}

/* An address of a web worker's message, written anew: texts as long as a message may be would take the room
 * in the turn worker's queue that we need ourselves. */
static bool address_again(const json_t *msg, const char *key, char out[NETADDR_TEXT])
{
    const char *text = json_string_value(json_object_get(msg, key));
    struct netaddr a;
    if (!text || netaddr_parse(text, 0, &a) != ERR_OK)
        return false;
    netaddr_print(&a, out);
    return true;
}

void edge_turn_hand(struct edge *e, unsigned web, const json_t *msg, int fd)
{
    char client[NETADDR_TEXT], server[NETADDR_TEXT];
    bool right = fd >= 0 && address_again(msg, "client", client) && address_again(msg, "server", server);
    struct worker *to = next_running(e);
    if (handing_of(e, web) >= HANDOVERS_MOST)
        return; /* it does not keep to what it was told */
    json_t *adopt = to && right
                        ? json_pack("{ss ss ss sb si}", "type", "adopt", "client", client, "server", server,
                                    "tls", json_is_true(json_object_get(msg, "tls")), "web", (int)web)
                        : NULL;
    if (adopt && worker_send(to, adopt, &fd, 1) == ERR_OK)
        e->handing[worker_index(to)][web]++;
    else
        tell_handed(e, web); /* lost, and not under way any more */
}

static void edge_turn_adopted(struct edge *e, unsigned turn, const json_t *msg)
{
    json_int_t web = json_integer_value(json_object_get(msg, "web"));
    if (web < 0 || (size_t)web >= e->n_web || e->handing[turn][web] == 0)
        return; /* of a web worker that is gone */
    e->handing[turn][web]--;
    tell_handed(e, (size_t)web);
}

void edge_turn_worker_gone(struct edge *e, const struct worker *w)
{
    unsigned index = worker_index(w);
    bool web = strcmp(worker_role(w), "web") == 0;
    for (size_t i = 0; i < LISTENERS_WORKERS_MAX; i++) {
        uint16_t *n = web ? &e->handing[i][index] : &e->handing[index][i];
        for (; *n > 0; (*n)--)
            if (!web)
                tell_handed(e, i);
    }
}

/* Worker processes --------------------------------------------------------------------------------------- */

static json_t *edge_turn_sockets(const struct turn_listeners *l, int *fds)
{
    char at[NETADDR_TEXT];
    json_t *list = json_array();
    for (size_t i = 0; i < l->n; i++) {
        fds[i] = l->sockets[i].fd;
        json_array_append_new(list, json_pack("{ssss}", "kind", turn_socket_word(l->sockets[i].kind), "local",
                                              netaddr_print(&l->sockets[i].local, at)));
    }
    return list;
}

/* What the workers write to each other with, in messages of as many descriptors as one takes. */
static void edge_turn_send_mailboxes(const struct edge *e, struct worker *w)
{
    int fds[IPC_FDS_MAX];
    for (size_t first = 0, n; first < e->n_turn; first += n) {
        for (n = 0; n < IPC_FDS_MAX && first + n < e->n_turn; n++)
            fds[n] = e->turn_mailboxes[first + n][first + n == worker_index(w) ? 0 : 1];
        (void)worker_send(w, json_pack("{sssi}", "type", "mailboxes", "first", (int)first), fds, n);
    }
}

bool edge_turn_set_up(struct edge *e, struct worker *w, char *why)
{
    const struct turn_listeners *l = &e->turn_listeners[worker_index(w)];
    int fds[LISTENERS_TURN_MAX + 1];
    const struct box *box = e->box;
    json_t *config = edge_turn_config(e, &box->config, &box->secrets, worker_index(w), why);
    if (!config)
        return false;
    edge_users_send(e, &box->secrets, w);
    json_t *msg =
        json_pack("{ss so so so si}", "type", "setup", "sockets", edge_turn_sockets(l, fds), "config", config,
                  "tls", edge_certificate_json(e), "log_level", daemon_log_level());
    fds[l->n] = e->turn_shared;
    if (worker_send(w, msg, fds, l->n + 1) != ERR_OK)
        log_event(LOG_ERR, "Worker Not Set Up", "worker=%s reason=\"its message could not be made\"",
                  worker_name(w));
    edge_turn_send_mailboxes(e, w);
    return true;
}

static void edge_turn_on_start(void *edge, struct worker *w)
{
    char why[SCHEMA_WHY];
    if (!edge_turn_set_up(edge, w, why))
        edge_addresses_await(edge, w, why);
}

static void edge_turn_on_message(void *edge, struct worker *w, const char *type, json_t *msg, int *fds,
                                 size_t n_fds)
{
    (void)fds, (void)n_fds;
    if (strcmp(type, "status") == 0 || strcmp(type, "changed") == 0)
        gather_message(w, msg);
    else if (strcmp(type, "adopted") == 0)
        edge_turn_adopted(edge, worker_index(w), msg);
    else if (strcmp(type, "ready") == 0)
        log_event(LOG_INFO, "Worker Ready", "worker=%s pid=%d", worker_name(w), (int)worker_pid(w));
}

static const struct worker_events edge_turn_events = {edge_turn_on_start, edge_turn_on_message,
                                                      edge_worker_exited};

void edge_turn_certificate(struct edge *e)
{
    for (size_t i = 0; i < e->n_turn; i++)
        if (e->turn[i])
            worker_update(e->turn[i], "tls",
                          json_pack("{ss so}", "type", "tls", "tls", edge_certificate_json(e)));
}

/* "KEY: problem" as the workers' code says it, with the line of the file where there is such a key. */
static void edge_turn_problem(const struct edge *e, const char *problem, char *why)
{
    char pointer[64];
    size_t n = strcspn(problem, ":");
    snprintf(pointer, sizeof pointer, "/turn/%.*s", (int)n, problem);
    if (strncmp(problem + n, ": ", 2) != 0 || !edge_turn_say(e, pointer, problem + n + 2, why))
        snprintf(why, SCHEMA_WHY, "turn: %s", problem);
}

enum err edge_turn_judge(const struct edge *e, const struct config *c, const struct secrets *secrets,
                         struct turn_config *out, char *why)
{
    char problem[256] = "out of memory";
    json_t *json = edge_turn_config(e, c, secrets, 0, why);
    if (!json)
        return ERR_CONFIG;
    enum err err = turn_config_from_json(json, out, problem, sizeof problem);
    json_decref(json);
    if (err != ERR_OK)
        edge_turn_problem(e, problem, why);
    return err;
}

/* Judges the config as the workers will, and makes the memory they share. */
static enum err edge_turn_prepare(struct edge *e, char *why)
{
    struct turn_config judged;
    enum err err = edge_turn_judge(e, &e->box->config, &e->box->secrets, &judged, why);
    if (err != ERR_OK)
        return err;
    e->turn_shared = turn_shared_create(&judged);
    turn_config_free(&judged);
    if (e->turn_shared >= 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "turn: memory to share: %s", strerror(errno));
    return ERR_SYSTEM;
}

enum err edge_turn_start(struct edge *e, char *why)
{
    long n = e->self->turn_workers ? e->self->turn_workers : sysconf(_SC_NPROCESSORS_ONLN);
    e->n_turn = n < 1 ? 1 : n > LISTENERS_WORKERS_MAX ? LISTENERS_WORKERS_MAX : (size_t)n;
    enum err err = edge_turn_prepare(e, why);
    if (err == ERR_OK)
        err = edge_addresses_start(e, why);
    if (err == ERR_OK)
        err = turn_listeners_open(e->self, e->turn_listeners, e->n_turn, why);
    for (size_t i = 0; i < e->n_turn && err == ERR_OK; i++)
        if (turn_worker_mailbox(e->turn_mailboxes[i]) != 0) {
            snprintf(why, SCHEMA_WHY, "turn: mailboxes of the workers: %s", strerror(errno));
            err = ERR_SYSTEM;
        }
    for (size_t i = 0; i < e->n_turn && err == ERR_OK; i++)
        e->turn[i] = worker_new(e->loop, "turn", (unsigned)i, &edge_turn_events, e);
    return err;
}
