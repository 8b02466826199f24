#include "edge/web/banned.h"

#include <stdlib.h>
#include <string.h>

#include "edge/web/conn.h"

struct banned {
    struct hashmap_node node;
    struct netaddr client;
};

static struct banned *banned_find(const struct web *w, const struct netaddr *client)
{
    uint64_t words[2] = {0};
    memcpy(words, client->ip, client->family == AF_INET ? 4 : 8);
    struct hashmap_node *at = hashmap_find(&w->banned, hashmap_hash_words(&w->banned, words, 2));
    for (; at; at = hashmap_find_next(at)) {
        struct banned *b = hashmap_entry(at, struct banned, node);
        if (b->client.family == client->family && memcmp(b->client.ip, words, sizeof words) == 0)
            return b;
    }
    return NULL;
}

static void banned_drop(struct web *w, struct banned *b)
{
    hashmap_remove(&w->banned, &b->node);
    free(b);
}

/* Without memory for one it stays outside the list: main's next change is the next try. */
static void banned_insert(struct web *w, const struct netaddr *client)
{
    struct banned *b = banned_find(w, client) ? NULL : calloc(1, sizeof *b);
    uint64_t words[2] = {0};
    if (!b)
        return;
    b->client.family = client->family;
    memcpy(b->client.ip, client->ip, client->family == AF_INET ? 4 : 8);
    memcpy(words, b->client.ip, sizeof words);
    hashmap_insert(&w->banned, &b->node, hashmap_hash_words(&w->banned, words, 2));
}

void banned_init(struct web *w)
{
    hashmap_init(&w->banned);
}

void banned_free(struct web *w)
{
    for (struct hashmap_node *at = hashmap_walk(&w->banned, NULL), *next; at; at = next) {
        next = hashmap_walk(&w->banned, at);
        banned_drop(w, hashmap_entry(at, struct banned, node));
    }
    hashmap_free(&w->banned);
}

bool banned_refuses(struct web *w, const struct netaddr *client)
{
    if (w->banned.count == 0 || !banned_find(w, client))
        return false;
    w->counters.refused_banned++;
    return true;
}

static bool address_at(const json_t *list, size_t i, struct netaddr *out)
{
    const char *text = json_string_value(json_array_get(list, i));
    return text && netaddr_parse(text, 0, out) == ERR_OK;
}

static bool is_banned(const struct web *w, const struct netaddr *client)
{
    return banned_find(w, client) != NULL;
}

void banned_change(struct web *w, const json_t *add, const json_t *remove)
{
    struct netaddr client;
    struct banned *b;
    for (size_t i = 0; i < json_array_size(remove); i++)
        if (address_at(remove, i, &client) && (b = banned_find(w, &client)) != NULL)
            banned_drop(w, b);
    for (size_t i = 0; i < json_array_size(add); i++)
        if (address_at(add, i, &client))
            banned_insert(w, &client);
    if (json_array_size(add) > 0)
        conns_drain_those(w, is_banned);
}
