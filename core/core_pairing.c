/*
 * Keys of the edges while core runs: every tunnel tells its edge what core wants (core_keys_told), at its
 * welcome, at every change and now and then; the edge answers how things stand (core_keys_heard), and what
 * follows from that is in keys.json before anybody is told of it. `edge add`, `renew`, `remove` and `list`:
 * the verbs behind them.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fatal.h"
#include "common/file.h"
#include "common/log.h"
#include "common/text.h"
#include "core/core_change.h"
#include "core/pairing/edges.h"

static const double ask_soon = 2,
                    ask_late = 60; /* seconds: while something is not as it should be, and else */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* What tunnels are told -----------------------------------------------------------------------------------
 */

/* Whether the edge is to have a key in the place of this one: a bundle's, core's, or one that is rotated; and
 * not one that it has made for that. */
static bool edge_wants_key(const struct core *c, const struct config_edge *edge, const char *key)
{
    const json_t *entry = pairing_edge(&c->pairing, edge->name);
    const char *rotated = core_rotation_host_key(c, edge->name);
    size_t i;
    json_t *offer;
    json_array_foreach (json_object_get(entry, "offers"), i, offer)
        if (strcmp(text_of(offer, "next"), key) == 0)
            return false;
    return strcmp(text_of(json_object_get(entry, "bundle"), "key"), key) == 0 ||
           !json_object_get(entry, "paired") || (rotated && strcmp(rotated, key) == 0);
}

/* The key that the edge has offered, and shall use now; NULL: none. */
static const char *edge_next_key(const struct core *c, const struct config_edge *edge)
{
    const json_t *offers = json_object_get(pairing_edge(&c->pairing, edge->name), "offers");
    size_t i;
    json_t *offer;
    json_array_foreach ((json_t *)(uintptr_t)offers, i, offer)
        if (edge_wants_key(c, edge, text_of(offer, "key")))
            return text_of(offer, "next");
    return NULL;
}

static bool edge_is_settled(const struct core *c, const struct config_edge *edge)
{
    const json_t *entry = pairing_edge(&c->pairing, edge->name);
    return json_object_get(entry, "paired") && !json_object_get(entry, "bundle") &&
           !core_rotation_host_key(c, edge->name);
}

static json_t *edge_told(const struct core *c, const struct config_edge *edge)
{
    return json_pack("{sI so sO* sb ss* so*}", "id", (json_int_t)c->keys_id, "core_keys",
                     core_rotation_core_keys(c), "replaced", json_object_get(c->pairing.json, "core_keys"),
                     "make_host_key", !edge_is_settled(c, edge), "use_host_key", edge_next_key(c, edge),
                     "secrets", core_rotation_secrets(c));
}

void core_keys_add(const struct core *c, const struct config_edge *edge, json_t *msg)
{
    json_object_set_new(msg, "host_keys", pairing_host_keys(&c->pairing, &c->box->config, edge));
    json_object_set_new(msg, "client_key", json_string(c->material.client_key));
    json_object_set_new(msg, "told", edge_told(c, edge));
}

static void keys_tell(struct core *c)
{
    struct core_tunnel *t;
    TAILQ_FOREACH (t, &c->tunnels, next) {
        const struct config_edge *edge = config_edge_find(&c->box->config, t->edge);
        json_t *msg = edge && !t->leaving ? json_pack("{ss}", "type", "keys") : NULL;
        if (!msg)
            continue;
        core_keys_add(c, edge, msg);
        worker_update(t->worker, "keys", msg);
    }
}

void core_keys_tell(struct core *c)
{
    c->keys_id++;
    keys_tell(c);
}

/* Something is missing that only an edge can say. */
static bool keys_any_open(const struct core *c)
{
    bool open = core_rotation_runs(c);
    for (size_t i = 0; i < c->box->config.edges.n; i++)
        open |= !edge_is_settled(c, config_edge_at(&c->box->config, i));
    return open;
}

static void keys_on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct core *c = t->data;
    (void)revents;
    if (c->stopping)
        return;
    core_rotation_step(c);
    double due = keys_any_open(c) ? ask_soon : ask_late;
    if (clock_monotonic() - c->keys_asked >= due) {
        c->keys_asked = clock_monotonic();
        keys_tell(c);
    }
    ev_timer_again(loop, t);
}

enum err core_keys_start(struct core *c, char *why)
{
    enum err e = pairing_load(c->box, &c->pairing, why);
    c->acks = json_object();
    ev_init(&c->keys_timer, keys_on_timer);
    c->keys_timer.repeat = 1;
    c->keys_timer.data = c;
    ev_timer_again(c->loop, &c->keys_timer);
    return e;
}

void core_keys_stop(struct core *c)
{
    if (c->keys_timer.data)
        ev_timer_stop(c->loop, &c->keys_timer);
    json_decref(c->acks);
    pairing_free(&c->pairing);
}

/* It counts from now on, also where it could not be written: the next change tries again. */
void core_keys_save(struct core *c)
{
    char why[SCHEMA_WHY];
    if (pairing_save(c->box, &c->pairing, BOX_USER, why) != ERR_OK)
        log_event(LOG_ERR, "Keys Not Kept", "reason=\"%s\"", why);
}

/* What edges answer ---------------------------------------------------------------------------------------
 */

/* A box that is not, or is not any more, the edge's. */
static void keys_refuse(struct core_tunnel *t)
{
    char words[300];
    snprintf(words, sizeof words,
             "another box has joined with the bundle of %s; one of them must go, or needs a bundle of its "
             "own: stile-core "
             "edge renew %s",
             t->edge, t->edge);
    log_event(LOG_ERR, "Bundle Used Twice", "edge=%s target=%s tunnel=%u", t->edge, t->target, t->index);
    (void)worker_send(t->worker, json_pack("{ss ss}", "type", "refuse", "reason", words), NULL, 0);
}

static void keys_settle(struct core *c, const struct config_edge *edge, const char *key)
{
    char file[80], path[PATH_MAX];
    bool bundle = json_object_get(pairing_edge(&c->pairing, edge->name), "bundle") != NULL;
    if (!pairing_settle(&c->pairing, edge, key, time(NULL)))
        return; /* out of memory: the next answer tries again */
    core_keys_save(c);
    bundle = bundle && !json_object_get(pairing_edge(&c->pairing, edge->name), "bundle");
    if (bundle)
        unlink(box_file(c->box, edges_bundle_file(edge->name, file), path));
    log_event(LOG_NOTICE, bundle ? "Edge Paired" : "Host Key Replaced", "edge=%s", edge->name);
    core_keys_tell(c);
}

static void keys_offered(struct core *c, struct core_tunnel *t, const struct config_edge *edge,
                         const char *key, const char *next)
{
    switch (pairing_offer(&c->pairing, edge, key, next)) {
    case PAIRING_OFFER_NEW:
        core_keys_save(c);
        core_keys_tell(c);
        break;
    case PAIRING_OFFER_OTHER:
        keys_refuse(t);
        break;
    default:
        break;
    }
}

/* Of its words what people can be shown, and no more. */
static void keys_note(struct core *c, const struct core_tunnel *t, const json_t *msg)
{
    char error[300], quoted[2 * sizeof error], secrets[SECRETS_DIGEST];
    const char *before = text_of(json_object_get(c->acks, t->edge), "error");
    text_copy(error, sizeof error, text_of(msg, "error"));
    text_copy(secrets, sizeof secrets, text_of(msg, "secrets"));
    if (*error && strcmp(error, before) != 0)
        log_event(LOG_WARNING, "Keys Not Taken Over", "edge=%s reason=%s", t->edge,
                  log_quote(error, strlen(error), quoted, sizeof quoted));
    json_object_set_new(
        c->acks, t->edge,
        json_pack("{sO ss ss}", "id", json_object_get(msg, "id"), "secrets", secrets, "error", error));
}

/* Whether the key that the edge uses now is to be the only one of it. */
static bool edge_has_settled(const struct core *c, const struct config_edge *edge, const char *key)
{
    const char *next = edge_next_key(c, edge);
    return strcmp(pairing_host_key(&c->pairing, edge), key) != 0 || (next && strcmp(next, key) == 0);
}

/* Whether a box that has proved one key may be believed that it uses the other: that is what it has offered
 * to do. Who still has a key of the edge's past must not speak for the box that has the present one. */
static bool edge_may_use(const struct core *c, const struct config_edge *edge, const char *proved,
                         const char *key)
{
    size_t i;
    json_t *offer;
    if (strcmp(proved, key) == 0)
        return true;
    json_array_foreach (json_object_get(pairing_edge(&c->pairing, edge->name), "offers"), i, offer)
        if (strcmp(text_of(offer, "key"), proved) == 0 && strcmp(text_of(offer, "next"), key) == 0)
            return true;
    return false;
}

/* The tunnel is older than the key that the edge says it uses: another one will show whether it does. */
static void keys_unproved(struct core_tunnel *t, const struct config_edge *edge, const char *key)
{
    const struct core *c = t->owner;
    if (edge_wants_key(c, edge, key) && strcmp(pairing_host_key(&c->pairing, edge), key) == 0)
        core_tunnel_replace(t, core_rotation_overlap(c));
}

void core_keys_heard(struct core_tunnel *t, const json_t *msg)
{
    struct core *c = t->owner;
    const struct config_edge *edge = config_edge_find(&c->box->config, t->edge);
    const char *key = text_of(msg, "host_key"), *next = text_of(msg, "next_host_key"),
               *proved = text_of(msg, "proved");
    if (!edge || t->leaving || c->change) /* a change may put keys back: the edge is asked again after it */
        return;
    if (!pairing_knows(&c->pairing, edge, key)) {
        keys_refuse(t); /* its key counted when the tunnel began, and does not any more */
        return;
    }
    keys_note(c, t, msg);
    if (!edge_may_use(c, edge, proved, key)) {
        keys_unproved(t, edge, key);
    } else if (edge_wants_key(c, edge, key)) {
        if (*next)
            keys_offered(c, t, edge, key, next);
    } else if (edge_has_settled(c, edge, key)) {
        keys_settle(c, edge, key);
    }
    core_rotation_step(c);
}

/* Verbs ---------------------------------------------------------------------------------------------------
 */

static void add_tunnels(const struct core *c, json_t *row)
{
    const struct core_tunnel *t, *best = NULL;
    json_int_t n = 0, active = 0;
    TAILQ_FOREACH (t, &c->tunnels, next) {
        if (t->leaving || strcasecmp(t->edge, text_of(row, "name")) != 0)
            continue;
        bool up = strcmp(t->state, "active") == 0;
        n++;
        active += up;
        best = !best || up ? t : best;
    }
    json_object_set_new(row, "tunnels", json_integer(n));
    json_object_set_new(row, "tunnels_active", json_integer(active));
    json_object_set_new(row, "state", json_string(best ? best->state : "unknown"));
    json_object_set_new(row, "reason", json_string(best ? best->reason : ""));
    json_object_set_new(row, "version", json_string(best ? best->edge_version : ""));
}

void core_edge_list_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    size_t i;
    json_t *row, *rows = edges_list(c->box, &c->pairing, time(NULL));
    (void)msg;
    json_array_foreach (rows, i, row)
        add_tunnels(c, row);
    request_answer(r, json_pack("{ss so}", "type", "edge_list", "items", rows));
}

/* A change of the config that is under way (core_change.h). */
struct edge_pending {
    struct core *core;
    struct edges_change change;
    char remove[64]; /* "": an edge was added */
};

static void edge_ended(void *pending, bool committed)
{
    struct edge_pending *p = pending;
    struct core *c = p->core;
    char why[SCHEMA_WHY];
    enum err e = ERR_OK;
    if (!committed)
        e = edges_undo(c->box, &c->pairing, &p->change, BOX_USER, why);
    else if (*p->remove)
        e = edges_forget(c->box, &c->pairing, p->remove, BOX_USER, why);
    if (e != ERR_OK)
        log_event(LOG_ERR, "Keys Not Kept", "reason=\"%s\"", why);
    if (committed && *p->remove)
        json_object_del(c->acks, p->remove);
    if (committed)
        core_keys_tell(c);
    edges_change_free(&p->change);
    free(p);
}

/* The rest is done when every box has the new config; answer has what the request is told beside that. Takes
 * pending and answer. */
static void edge_commit(struct edge_pending *p, struct request *r, const char *type, json_t *answer)
{
    struct core *c = p->core;
    struct core_change change = {.type = type, .extra = answer, .ended = edge_ended, .ctx = p};
    change.text = strdup(p->change.after);
    request_by(r, change.by, sizeof change.by);
    core_change_begin(c, r, &change);
}

static void edge_refuse(struct edge_pending *p, struct request *r, json_t *answer, const char *why)
{
    char words[SCHEMA_WHY];
    snprintf(words, sizeof words, "%s", why);
    edge_ended(p, false);
    json_decref(answer);
    request_refuse(r, words);
}

/* The object of stile.json that the message asks for: name, ssh, and further keys. */
static json_t *edge_of_message(const json_t *msg)
{
    json_t *edge =
        json_pack("{sO* sO*}", "name", json_object_get(msg, "name"), "ssh", json_object_get(msg, "ssh"));
    static const char *const addresses[] = {"public_address", "internal_address"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        if (json_object_get(msg, addresses[i]))
            json_object_set(edge, addresses[i], json_object_get(msg, addresses[i]));
    if (json_object_get(msg, "keys"))
        json_object_update_missing(edge, json_object_get(msg, "keys"));
    return edge;
}

static enum err edge_judge(const struct core *c, const struct edges_bundle *bundle, char *why)
{
    if (!core_rotation_runs(c))
        return edges_judge_bundle(bundle, why);
    snprintf(why, SCHEMA_WHY, "keys are being rotated; 'stile-core key show' says how far that is");
    return ERR_AGAIN;
}

void core_edge_add_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    struct edge_pending *p = xcalloc(1, sizeof *p);
    struct edges_bundle bundle = {.seconds = BUNDLE_DAYS * 86400,
                                  .passphrase = json_string_value(json_object_get(msg, "passphrase"))};
    char why[SCHEMA_WHY] = "out of memory", expires[32];
    const json_t *seconds = json_object_get(msg, "expires");
    const char *name = text_of(msg, "name");
    bool renew = json_is_true(json_object_get(msg, "renew"));
    json_t *edge = edge_of_message(msg);
    p->core = c;
    p->change.text_only = true;
    if (seconds)
        bundle.seconds = (long)json_integer_value(seconds);
    enum err e = edge ? edge_judge(c, &bundle, why) : ERR_MEMORY;
    if (e == ERR_OK)
        e = renew ? edges_renew(c->box, &c->pairing, name, &bundle, BOX_USER, &p->change, why)
                  : edges_add(c->box, &c->pairing, edge, &bundle, BOX_USER, &p->change, why);
    json_decref(edge);
    json_t *answer =
        json_pack("{ss ss ss ss sb}", "type", "edge_add", "name", name, "bundle", bundle.path, "expires",
                  pairing_time(bundle.expires, expires), "encrypted", bundle.passphrase != NULL);
    if (e != ERR_OK) {
        edge_refuse(p, r, answer, why);
        return;
    }
    log_event(LOG_NOTICE, "Bundle Made", "edge=%s expires=%s", name, expires);
    if (!renew) {
        edge_commit(p, r, "edge_add", answer);
        return;
    }
    json_object_set_new(answer, "revision", json_integer(c->box->config.revision));
    edge_ended(p, true);
    request_answer(r, answer);
}

void core_edge_remove_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    struct edge_pending *p = xcalloc(1, sizeof *p);
    char why[SCHEMA_WHY] = "out of memory";
    const struct config_edge *edge = config_edge_find(&c->box->config, text_of(msg, "name"));
    p->core = c;
    p->change.text_only = true;
    snprintf(p->remove, sizeof p->remove, "%s", edge ? edge->name : text_of(msg, "name"));
    json_t *answer = json_pack("{ss}", "name", p->remove);
    if (edges_remove(c->box, &c->pairing, p->remove, BOX_USER, &p->change, why) == ERR_OK)
        edge_commit(p, r, "edge_remove", answer);
    else
        edge_refuse(p, r, answer, why);
}
