#include "edge/bans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/hashmap.h"
#include "common/text.h"

struct listed {
    struct hashmap_node node;
    struct ban ban;
};

struct offender {
    struct hashmap_node node;
    TAILQ_ENTRY(offender) recent; /* head: offended last */
    struct netaddr client;
    struct {
        double since; /* of its window */
        unsigned n;
    } counts[BAN_CATEGORY_COUNT];
};

TAILQ_HEAD(offenders, offender);

struct category_rule {
    long threshold, window, duration;
};

struct bans {
    struct hashmap listed, by_client;
    struct offenders recent, spare;
    struct offender *pool;
    bool enabled;
    struct category_rule rules[BAN_CATEGORY_COUNT];
    struct netcidr *exempt;
    size_t n_exempt;
    struct bans_counters counters;
};

/* Names -------------------------------------------------------------------------------------------------- */

struct netaddr ban_client(const struct netaddr *a)
{
    struct netaddr client = {.family = a->family};
    memcpy(client.ip, a->ip, a->family == AF_INET ? 4 : 8);
    return client;
}

const char *ban_category_name(enum ban_category category)
{
    static const char *const names[] = {
#define X(name, threshold, window, duration, words) #name,
        BAN_CATEGORIES(X)
#undef X
            "by hand"};
    return names[category];
}

const char *ban_reason(const struct ban *ban)
{
    static const char *const words[] = {
#define X(name, threshold, window, duration, text) text,
        BAN_CATEGORIES(X)
#undef X
            "by hand"};
    return *ban->reason ? ban->reason : words[ban->category];
}

static uint32_t client_hash(const struct hashmap *m, const struct netaddr *client)
{
    uint64_t words[2];
    memcpy(words, client->ip, sizeof words);
    return hashmap_hash_words(m, words, 2);
}

/* Life --------------------------------------------------------------------------------------------------- */

struct bans *bans_new(void)
{
    struct bans *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->pool = calloc(BANS_OFFENDERS_MAX, sizeof *b->pool);
    if (!b->pool) {
        free(b);
        return NULL;
    }
    hashmap_init(&b->listed);
    hashmap_init(&b->by_client);
    TAILQ_INIT(&b->recent);
    TAILQ_INIT(&b->spare);
    for (size_t i = 0; i < BANS_OFFENDERS_MAX; i++)
        TAILQ_INSERT_TAIL(&b->spare, &b->pool[i], recent);
    return b;
}

static void listed_free(struct bans *b, struct listed *l)
{
    hashmap_remove(&b->listed, &l->node);
    free(l);
}

void bans_free(struct bans *b)
{
    if (!b)
        return;
    for (struct hashmap_node *at = hashmap_walk(&b->listed, NULL), *next; at; at = next) {
        next = hashmap_walk(&b->listed, at);
        listed_free(b, hashmap_entry(at, struct listed, node));
    }
    hashmap_free(&b->listed);
    hashmap_free(&b->by_client);
    free(b->pool);
    free(b->exempt);
    free(b);
}

enum err bans_configure(struct bans *b, const struct config_bans *config, const struct netcidr *also,
                        size_t n)
{
    static const char *const always[] = {"127.0.0.0/8", "::1/128"};
    size_t room = config->exempt.n + n + sizeof always / sizeof *always, used = 0;
    struct netcidr *exempt = calloc(room, sizeof *exempt);
    if (!exempt)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->exempt.n; i++)
        used += netcidr_parse(config->exempt.items[i], &exempt[used]) == ERR_OK; /* judged by its row */
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        used += netcidr_parse(always[i], &exempt[used]) == ERR_OK;
    for (size_t i = 0; i < n; i++)
        exempt[used++] = also[i];
    free(b->exempt);
    b->exempt = exempt;
    b->n_exempt = used;
    b->enabled = config->enabled;
#define X(name, x, y, z, words)                                                                              \
    b->rules[BAN_##name] =                                                                                   \
        (struct category_rule){config->name.threshold, config->name.window, config->name.duration};
    BAN_CATEGORIES(X)
#undef X
    return ERR_OK;
}

/* A network and a /64 that touch at all: nobody in the one is banned by the other. */
static bool exempt_covers(const struct netcidr *net, const struct netaddr *a)
{
    if (a->family == AF_INET6 && net->family == AF_INET6 && net->bits > 64)
        return memcmp(net->ip, a->ip, 8) == 0;
    return netcidr_contains(net, a);
}

bool bans_is_exempt(const struct bans *b, const struct netaddr *a)
{
    for (size_t i = 0; i < b->n_exempt; i++)
        if (exempt_covers(&b->exempt[i], a))
            return true;
    return false;
}

/* Bans --------------------------------------------------------------------------------------------------- */

static struct listed *listed_find(const struct bans *b, const struct netaddr *client)
{
    struct hashmap_node *at = hashmap_find(&b->listed, client_hash(&b->listed, client));
    for (; at; at = hashmap_find_next(at)) {
        struct listed *l = hashmap_entry(at, struct listed, node);
        if (netaddr_equal_ip(&l->ban.client, client))
            return l;
    }
    return NULL;
}

/* NULL: there are too many, or memory is out. */
static struct listed *listed_make(struct bans *b, const struct netaddr *client)
{
    struct listed *l = listed_find(b, client);
    if (l || b->listed.count >= BANS_MAX)
        return l;
    l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->ban.client = *client;
    hashmap_insert(&b->listed, &l->node, client_hash(&b->listed, client));
    return l;
}

enum err bans_add(struct bans *b, const struct netaddr *address, long seconds, const char *reason, double now)
{
    struct netaddr client = ban_client(address);
    if (bans_is_exempt(b, &client))
        return ERR_REFUSED;
    struct listed *l = listed_make(b, &client);
    if (!l)
        return ERR_FULL;
    l->ban.category = BAN_BY_HAND;
    l->ban.since = now;
    l->ban.until = now + (double)seconds;
    text_copy(l->ban.reason, sizeof l->ban.reason, reason);
    b->counters.banned[BAN_BY_HAND]++;
    return ERR_OK;
}

bool bans_remove(struct bans *b, const struct netaddr *address)
{
    struct netaddr client = ban_client(address);
    struct listed *l = listed_find(b, &client);
    if (!l)
        return false;
    listed_free(b, l);
    b->counters.removed++;
    return true;
}

void bans_sweep(struct bans *b, double now, void (*on_end)(void *ctx, const struct ban *ban), void *ctx)
{
    for (struct hashmap_node *at = hashmap_walk(&b->listed, NULL), *next; at; at = next) {
        next = hashmap_walk(&b->listed, at);
        struct listed *l = hashmap_entry(at, struct listed, node);
        bool over = l->ban.until <= now,
             spared = bans_is_exempt(b, &l->ban.client) || (!b->enabled && l->ban.category != BAN_BY_HAND);
        if (!over && !spared)
            continue;
        b->counters.ended += over;
        b->counters.removed += !over;
        struct ban ban = l->ban;
        listed_free(b, l);
        on_end(ctx, &ban);
    }
}

size_t bans_count(const struct bans *b)
{
    return b->listed.count;
}

const struct ban *bans_find(const struct bans *b, const struct netaddr *address)
{
    struct netaddr client = ban_client(address);
    const struct listed *l = listed_find(b, &client);
    return l ? &l->ban : NULL;
}

const struct ban *bans_next(const struct bans *b, const struct ban *ban)
{
    const struct hashmap_node *at =
        ban ? &((const struct listed *)(const void *)((const char *)ban - offsetof(struct listed, ban)))->node
            : NULL;
    at = hashmap_walk(&b->listed, at);
    return at ? &hashmap_entry(at, const struct listed, node)->ban : NULL;
}

const struct bans_counters *bans_counters(const struct bans *b)
{
    return &b->counters;
}

/* Offences ----------------------------------------------------------------------------------------------- */

static struct offender *offender_find(const struct bans *b, const struct netaddr *client)
{
    struct hashmap_node *at = hashmap_find(&b->by_client, client_hash(&b->by_client, client));
    for (; at; at = hashmap_find_next(at)) {
        struct offender *o = hashmap_entry(at, struct offender, node);
        if (netaddr_equal_ip(&o->client, client))
            return o;
    }
    return NULL;
}

static void offender_forget(struct bans *b, struct offender *o)
{
    hashmap_remove(&b->by_client, &o->node);
    TAILQ_REMOVE(&b->recent, o, recent);
    TAILQ_INSERT_HEAD(&b->spare, o, recent);
}

/* The client's, a spare one, or that of who offended least recently. */
static struct offender *offender_get(struct bans *b, const struct netaddr *client)
{
    struct offender *o = offender_find(b, client);
    if (o) {
        TAILQ_REMOVE(&b->recent, o, recent);
    } else {
        if (TAILQ_EMPTY(&b->spare))
            offender_forget(b, TAILQ_LAST(&b->recent, offenders));
        o = TAILQ_FIRST(&b->spare);
        TAILQ_REMOVE(&b->spare, o, recent);
        *o = (struct offender){.client = *client};
        hashmap_insert(&b->by_client, &o->node, client_hash(&b->by_client, client));
    }
    TAILQ_INSERT_HEAD(&b->recent, o, recent);
    return o;
}

const struct ban *bans_offence(struct bans *b, const struct netaddr *address, enum ban_category category,
                               unsigned n, double now)
{
    struct netaddr client = ban_client(address);
    const struct category_rule *rule = &b->rules[category];
    if (!b->enabled || rule->threshold == 0 || bans_is_exempt(b, &client) || listed_find(b, &client))
        return NULL;
    struct offender *o = offender_get(b, &client);
    if (o->counts[category].n == 0 || now - o->counts[category].since >= (double)rule->window) {
        o->counts[category].n = 0;
        o->counts[category].since = now;
    }
    unsigned room = UINT32_MAX - o->counts[category].n;
    o->counts[category].n += n < room ? n : room;
    if ((long)o->counts[category].n < rule->threshold)
        return NULL;
    offender_forget(b, o);
    struct listed *l = listed_make(b, &client);
    if (!l) {
        b->counters.full++;
        return NULL;
    }
    l->ban.category = category;
    l->ban.since = now;
    l->ban.until = now + (double)rule->duration;
    b->counters.banned[category]++;
    return &l->ban;
}
