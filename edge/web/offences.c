#include "edge/web/offences.h"

#include <stdlib.h>
#include <string.h>

#include "edge/web/web.h"

enum { OFFENCES_CLIENTS = 2048 /* in one second */ };

struct offence {
    struct hashmap_node node;
    struct netaddr client; /* without port, of IPv6 the /64 */
    unsigned n[BAN_CATEGORY_COUNT];
};

struct offences {
    struct hashmap by_client;
    size_t used;
    struct offence all[OFFENCES_CLIENTS];
};

static const char *const names[] = {
#define X(name, threshold, window, duration, words) #name,
    BAN_CATEGORIES(X)
#undef X
};

struct offences *offences_new(void)
{
    struct offences *o = calloc(1, sizeof *o);
    if (o)
        hashmap_init(&o->by_client);
    return o;
}

void offences_free(struct offences *o)
{
    if (!o)
        return;
    hashmap_free(&o->by_client);
    free(o);
}

/* NULL: there is no room. */
static struct offence *offence_of(struct offences *o, const struct netaddr *a)
{
    uint64_t words[2] = {0};
    memcpy(words, a->ip, a->family == AF_INET ? 4 : 8);
    uint32_t hash = hashmap_hash_words(&o->by_client, words, 2);
    struct hashmap_node *at = hashmap_find(&o->by_client, hash);
    for (; at; at = hashmap_find_next(at)) {
        struct offence *f = hashmap_entry(at, struct offence, node);
        if (f->client.family == a->family && memcmp(f->client.ip, words, sizeof words) == 0)
            return f;
    }
    if (o->used == OFFENCES_CLIENTS)
        return NULL;
    struct offence *f = &o->all[o->used++];
    *f = (struct offence){.client.family = a->family};
    memcpy(f->client.ip, words, sizeof words);
    hashmap_insert(&o->by_client, &f->node, hash);
    return f;
}

void offence_note(struct web *w, const struct netaddr *client, enum ban_category category)
{
    struct offence *f = w->offences ? offence_of(w->offences, client) : NULL;
    if (f)
        f->n[category]++;
}

void offences_tell(struct web *w)
{
    struct offences *o = w->offences;
    char text[NETADDR_TEXT];
    if (!o || o->used == 0)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < o->used; i++) {
        hashmap_remove(&o->by_client, &o->all[i].node);
        for (size_t k = 0; k < BAN_CATEGORY_COUNT; k++)
            if (o->all[i].n[k])
                json_array_append_new(list, json_pack("[ssI]", netaddr_print_ip(&o->all[i].client, text),
                                                      names[k], (json_int_t)o->all[i].n[k]));
    }
    o->used = 0;
    (void)ipc_send(w->main, json_pack("{s:s, s:o}", "type", "offences", "list", list), NULL, 0);
}
