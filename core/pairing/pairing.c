#include "core/pairing/pairing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/schema.h"
#include "common/time_text.h"

enum { FILE_MAX = 4 * 1024 * 1024 };

/* The file ------------------------------------------------------------------------------------------------
 */

/* For judging what is read; the document itself is what is worked with. */
struct edge_entry {
    char *name;
    struct schema_strings host_keys, replaced, bundle_keys;
    json_t *bundle, *offers;
    long paired;
};

struct document {
    struct schema_objects edges;
    struct schema_strings core_keys;
    json_t *rotation, *last_rotation;
};

#define ENTRY(member) offsetof(struct edge_entry, member)
static const struct schema_row entry_rows[] = {
    {"name", SCHEMA_STRING, ENTRY(name), .required = true, .help = "the edge"},
    {"host_keys", SCHEMA_STRINGS, ENTRY(host_keys), .max = PAIRING_KEYS_MAX, .help = "keys that count"},
    {"replaced", SCHEMA_STRINGS, ENTRY(replaced), .max = PAIRING_KEYS_MAX, .help = "keys that it had"},
    {"bundle_keys", SCHEMA_STRINGS, ENTRY(bundle_keys), .max = PAIRING_KEYS_MAX, .help = "of old bundles"},
    {"bundle", SCHEMA_ANY, ENTRY(bundle), .help = "the bundle that nobody has used yet"},
    {"offers", SCHEMA_ANY, ENTRY(offers), .help = "keys that boxes want to have"},
    {"paired", SCHEMA_INT, ENTRY(paired), .min = 0, .max = LONG_MAX, .help = "Unix time"},
    SCHEMA_END};

static const struct schema_row document_rows[] = {
    {"edges", SCHEMA_OBJECTS, offsetof(struct document, edges), .max = 1000, .rows = entry_rows,
     .size = sizeof(struct edge_entry), .help = "edges"},
    {"core_keys", SCHEMA_STRINGS, offsetof(struct document, core_keys), .max = PAIRING_KEYS_MAX,
     .help = "keys that core had"},
    {"rotation", SCHEMA_ANY, offsetof(struct document, rotation), .help = "a rotation under way"},
    {"last_rotation", SCHEMA_ANY, offsetof(struct document, last_rotation), .help = "the one before"},
    SCHEMA_END};

enum err pairing_load(const struct box *box, struct pairing *out, char *why)
{
    char path[PATH_MAX], *text;
    json_t *json = NULL;
    enum err e = file_read(box_file(box, BOX_KEYS, path), FILE_MAX, &text, NULL, why, SCHEMA_WHY);
    if (e == ERR_NOT_FOUND) {
        json = json_pack("{s[]}", "edges");
        e = json ? ERR_OK : ERR_MEMORY;
    } else if (e == ERR_OK) {
        e = schema_document(path, text, document_rows, sizeof(struct document), &json, why);
        free(text);
    }
    if (e == ERR_OK)
        out->json = json;
    return e;
}

enum err pairing_save(const struct box *box, const struct pairing *p, const char *user, char *why)
{
    char *text = json_dumps(p->json, JSON_INDENT(1));
    snprintf(why, SCHEMA_WHY, "out of memory");
    enum err e = text ? box_write(box, BOX_KEYS, text, strlen(text), 0600, user, why) : ERR_MEMORY;
    free(text);
    return e;
}

void pairing_free(struct pairing *p)
{
    json_decref(p->json);
    p->json = NULL;
}

/* Lists of keys -------------------------------------------------------------------------------------------
 */

static bool has(const json_t *list, const char *key)
{
    size_t i;
    json_t *item;
    json_array_foreach ((json_t *)(uintptr_t)list, i, item)
        if (key && json_is_string(item) && strcmp(json_string_value(item), key) == 0)
            return true;
    return false;
}

/* The list `name` of an entry, made where there is none. */
static json_t *list_of(json_t *entry, const char *name)
{
    if (!json_is_array(json_object_get(entry, name)))
        json_object_set_new(entry, name, json_array());
    return json_object_get(entry, name);
}

/* Puts key into the list if it is not there; of more than PAIRING_KEYS_MAX the oldest but one goes: the
 * oldest may be that of stile.json, which would count alone once nothing is known of it (is_other_key). */
static bool put(json_t *entry, const char *name, const char *key)
{
    json_t *list = list_of(entry, name);
    if (!list || has(list, key))
        return list != NULL;
    if (json_array_size(list) >= PAIRING_KEYS_MAX)
        json_array_remove(list, 1);
    return json_array_append_new(list, json_string(key)) == 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* Edges ---------------------------------------------------------------------------------------------------
 */

static size_t index_of(const struct pairing *p, const char *name)
{
    const json_t *edges = json_object_get(p->json, "edges");
    size_t i = 0;
    while (i < json_array_size(edges) && strcasecmp(text_of(json_array_get(edges, i), "name"), name) != 0)
        i++;
    return i;
}

json_t *pairing_edge(const struct pairing *p, const char *name)
{
    return json_array_get(json_object_get(p->json, "edges"), index_of(p, name));
}

bool pairing_forget(struct pairing *p, const char *name)
{
    json_t *edges = json_object_get(p->json, "edges");
    size_t i = index_of(p, name);
    return i >= json_array_size(edges) || json_array_remove(edges, i) == 0;
}

static const char *bundle_key(const json_t *entry)
{
    return text_of(json_object_get(entry, "bundle"), "key");
}

/* Whether stile.json has a key that the entry knows nothing of. */
static bool is_other_key(const json_t *entry, const char *configured)
{
    return !has(json_object_get(entry, "host_keys"), configured) &&
           !has(json_object_get(entry, "replaced"), configured) &&
           !has(json_object_get(entry, "bundle_keys"), configured) &&
           strcmp(bundle_key(entry), configured) != 0;
}

/* The entry of an edge, made with the key of stile.json where there is none, and anew where somebody has put
 * another key there: nothing that was known of the box before counts for this one. */
static json_t *entry_of(struct pairing *p, const struct config_edge *edge, bool with_key)
{
    json_t *entry = pairing_edge(p, edge->name);
    if (entry && with_key && is_other_key(entry, edge->host_key)) {
        pairing_forget(p, edge->name);
        entry = NULL;
    }
    if (!entry &&
        json_array_append_new(list_of(p->json, "edges"), json_pack("{ss}", "name", edge->name)) == 0) {
        entry = pairing_edge(p, edge->name);
        if (entry && with_key && !put(entry, "host_keys", edge->host_key))
            entry = NULL;
    }
    return entry;
}

/* What a box with this key wanted to have in its place counts no longer. */
static void withdraw_offers(json_t *entry, const char *key)
{
    json_t *keys = json_object_get(entry, "host_keys"), *offer;
    size_t i;
    json_array_foreach (json_object_get(entry, "offers"), i, offer)
        for (size_t k = json_array_size(keys); k-- > 0 && strcmp(text_of(offer, "key"), key) == 0;)
            if (strcmp(json_string_value(json_array_get(keys, k)), text_of(offer, "next")) == 0)
                json_array_remove(keys, k);
}

bool pairing_add_bundle(struct pairing *p, const struct config_edge *edge, const struct pairing_bundle *b)
{
    json_t *entry = entry_of(p, edge, strcmp(edge->host_key, b->key) != 0);
    const char *old = bundle_key(entry);
    if (!entry || (*old && !put(entry, "bundle_keys", old)))
        return false;
    withdraw_offers(entry, old);
    json_object_del(entry, "offers");
    return json_object_set_new(entry, "bundle",
                               json_pack("{ss ss sI sI sb}", "id", b->id, "key", b->key, "created",
                                         (json_int_t)b->created, "expires", (json_int_t)b->expires,
                                         "encrypted", (int)b->encrypted)) == 0;
}

bool pairing_knows(const struct pairing *p, const struct config_edge *edge, const char *key)
{
    const json_t *entry = pairing_edge(p, edge->name);
    if (!entry || is_other_key(entry, edge->host_key))
        return strcmp(edge->host_key, key) == 0;
    return has(json_object_get(entry, "host_keys"), key) || strcmp(bundle_key(entry), key) == 0;
}

/* What the box with this key wants to have; NULL: nothing. */
static json_t *offer_of(const json_t *entry, const char *member, const char *key)
{
    size_t i;
    json_t *offer;
    json_array_foreach (json_object_get(entry, "offers"), i, offer)
        if (strcmp(text_of(offer, member), key) == 0)
            return offer;
    return NULL;
}

enum pairing_offered pairing_offer(struct pairing *p, const struct config_edge *edge, const char *key,
                                   const char *next)
{
    json_t *entry = entry_of(p, edge, true);
    const json_t *before = entry ? offer_of(entry, "key", key) : NULL;
    if (before)
        return strcmp(text_of(before, "next"), next) == 0 ? PAIRING_OFFER_KNOWN : PAIRING_OFFER_OTHER;
    return entry && put(entry, "host_keys", next) &&
                   json_array_append_new(list_of(entry, "offers"),
                                         json_pack("{ss ss}", "key", key, "next", next)) == 0
               ? PAIRING_OFFER_NEW
               : PAIRING_OFFER_NO_MEMORY;
}

/* The bundle is used up when its box settles with the key that it made. */
static bool settle_bundle(json_t *entry, const char *key)
{
    const json_t *offer = offer_of(entry, "next", key);
    if (!offer || strcmp(text_of(offer, "key"), bundle_key(entry)) != 0)
        return true;
    return put(entry, "bundle_keys", bundle_key(entry)) && json_object_del(entry, "bundle") == 0;
}

/* What of its keys is not among these is one that it had. */
static bool settle_replaced(json_t *entry, const json_t *keys)
{
    bool done = true;
    size_t i;
    json_t *old;
    json_array_foreach (json_object_get(entry, "host_keys"), i, old)
        done = done && (has(keys, json_string_value(old)) || put(entry, "replaced", json_string_value(old)));
    return done;
}

bool pairing_settle(struct pairing *p, const struct config_edge *edge, const char *key, time_t now)
{
    json_t *entry = entry_of(p, edge, true), *keys = json_array();
    bool done = entry && keys && json_array_append_new(keys, json_string(key)) == 0 &&
                settle_bundle(entry, key) && settle_replaced(entry, keys);
    if (!done) {
        json_decref(keys);
        return false;
    }
    json_object_del(entry, "offers");
    return json_object_set_new(entry, "host_keys", keys) == 0 &&
           json_object_set_new(entry, "paired", json_integer((json_int_t)now)) == 0;
}

const char *pairing_host_key(const struct pairing *p, const struct config_edge *edge)
{
    const json_t *entry = pairing_edge(p, edge->name);
    const char *key = json_string_value(json_array_get(json_object_get(entry, "host_keys"), 0));
    return key && !is_other_key(entry, edge->host_key) ? key : edge->host_key;
}

enum pairing_state pairing_state(const struct pairing *p, const char *edge, time_t now)
{
    const json_t *bundle = json_object_get(pairing_edge(p, edge), "bundle");
    if (!bundle)
        return PAIRING_PAIRED;
    return now < (time_t)json_integer_value(json_object_get(bundle, "expires")) ? PAIRING_WAITING
                                                                                : PAIRING_EXPIRED;
}

const char *pairing_state_str(enum pairing_state s)
{
    static const char *const texts[] = {"waiting", "expired", "paired"};
    return texts[s];
}

const char *pairing_time(time_t t, char out[32])
{
    return time_text((int64_t)t * 1000, out);
}

/* What tunnels are told -----------------------------------------------------------------------------------
 */

/* A key that is accepted (words NULL; until: Unix time, 0 for ever), or refused with these words. */
static bool tell(json_t *out, const char *key, time_t until, const char *words)
{
    return json_array_append_new(
               out, json_pack("{ss sI ss*}", "key", key, "until", (json_int_t)until, "words", words)) == 0;
}

static bool tell_refused(json_t *out, const json_t *keys, const char *words)
{
    size_t i;
    json_t *key;
    bool done = true;
    json_array_foreach ((json_t *)(uintptr_t)keys, i, key)
        done = done && tell(out, json_string_value(key), 0, words);
    return done;
}

static bool tell_accepted(json_t *out, const json_t *entry, const struct config_edge *edge)
{
    const json_t *bundle = json_object_get(entry, "bundle");
    size_t i;
    json_t *key;
    char words[300], at[32];
    time_t expires = (time_t)json_integer_value(json_object_get(bundle, "expires"));
    if (!entry || is_other_key(entry, edge->host_key))
        return tell(out, edge->host_key, 0, NULL);
    bool done = true;
    json_array_foreach (json_object_get(entry, "host_keys"), i, key)
        done = done && tell(out, json_string_value(key), 0, NULL);
    if (!bundle || !done)
        return done;
    snprintf(
        words, sizeof words,
        "the bundle of %s expired at %s, before its first tunnel; make a new one: stile-core edge renew %s",
        edge->name, pairing_time(expires, at), edge->name);
    return tell(out, bundle_key(entry), 0, NULL) && /* and from then on: */
           json_object_set_new(json_array_get(out, json_array_size(out) - 1), "until",
                               json_integer((json_int_t)expires)) == 0 &&
           json_object_set_new(json_array_get(out, json_array_size(out) - 1), "words", json_string(words)) ==
               0;
}

/* The keys of another edge: bundles, or addresses, were mixed up. */
static bool tell_other(json_t *out, const struct pairing *p, const struct config_edge *other,
                       const char *edge)
{
    const json_t *entry = pairing_edge(p, other->name);
    char words[300];
    snprintf(words, sizeof words,
             "the box there is %s, not %s: were their bundles, or their addresses in stile.json, mixed up?",
             other->name, edge);
    bool done =
        tell(out, other->host_key, 0, words) && tell_refused(out, json_object_get(entry, "host_keys"), words);
    return done && (!*bundle_key(entry) || tell(out, bundle_key(entry), 0, words));
}

json_t *pairing_host_keys(const struct pairing *p, const struct config *config,
                          const struct config_edge *edge)
{
    const json_t *entry = pairing_edge(p, edge->name);
    json_t *out = json_array();
    char used[300], old[300];
    snprintf(used, sizeof used,
             "the box there joined with a bundle of %s that counts no longer: it was used before, or a newer "
             "one was "
             "made. Make a new one: stile-core edge renew %s",
             edge->name, edge->name);
    snprintf(old, sizeof old,
             "the box there has a host key that %s had earlier; was it set up from an old copy? Make a new "
             "bundle: "
             "stile-core edge renew %s",
             edge->name, edge->name);
    bool done = out && tell_accepted(out, entry, edge) &&
                tell_refused(out, json_object_get(entry, "bundle_keys"), used) &&
                tell_refused(out, json_object_get(entry, "replaced"), old);
    for (size_t i = 0; i < config->edges.n && done; i++)
        if (config_edge_at(config, i) != edge)
            done = tell_other(out, p, config_edge_at(config, i), edge->name);
    if (done)
        return out;
    json_decref(out);
    return NULL;
}
