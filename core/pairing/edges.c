#include "core/pairing/edges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json_text.h"
#include "common/seal.h"
#include "core/tunnel/host_key.h"
#include "proto/ctl_msg.h"

enum { FILE_MAX = 4 * 1024 * 1024 };

static enum err no_memory(char *why)
{
    snprintf(why, SCHEMA_WHY, "out of memory");
    return ERR_MEMORY;
}

const char *edges_bundle_file(const char *edge, char out[80])
{
    snprintf(out, 80, "%s.bundle", edge);
    return out;
}

enum err edges_parse_time(const char *text, long *seconds)
{
    static const struct {
        const char *unit;
        long seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    enum { LONGEST = 366 * 86400 };
    char *end;
    long n = strtol(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units && end != text; i++)
        if (strcmp(end, units[i].unit) == 0 && n >= 0 && n <= LONGEST / units[i].seconds) {
            *seconds = n * units[i].seconds;
            return ERR_OK;
        }
    return ERR_MALFORMED;
}

enum err edges_judge_bundle(const struct edges_bundle *bundle, char *why)
{
    if (bundle->seconds < EDGES_BUNDLE_SHORTEST || bundle->seconds > EDGES_BUNDLE_LONGEST) {
        snprintf(why, SCHEMA_WHY, "a bundle lives for %d seconds to %d days", EDGES_BUNDLE_SHORTEST,
                 EDGES_BUNDLE_LONGEST / 86400);
        return ERR_CONFIG;
    }
    if (!bundle->passphrase || strlen(bundle->passphrase) >= SEAL_PASSPHRASE_LEAST)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "a passphrase has %d characters at least", SEAL_PASSPHRASE_LEAST);
    return ERR_CONFIG;
}

/* The config's text ---------------------------------------------------------------------------------------
 */

void edges_change_free(struct edges_change *c)
{
    free(c->before);
    free(c->after);
    json_decref(c->keys_before);
    *c = (struct edges_change){0};
}

enum err edges_undo(const struct box *box, struct pairing *p, struct edges_change *c, const char *user,
                    char *why)
{
    char path[PATH_MAX];
    enum err e = ERR_OK;
    if (c->keys_before) {
        json_decref(p->json);
        p->json = json_incref(c->keys_before);
    }
    if (*c->bundle)
        unlink(box_file(box, c->bundle, path));
    if (c->written && c->after && !c->text_only)
        e = box_write(box, BOX_CONFIG, c->before, strlen(c->before), 0644, user, why);
    if (c->written && e == ERR_OK)
        e = pairing_save(box, p, user, why);
    return e;
}

static enum err change_begin(const struct box *box, const struct pairing *p, struct edges_change *c,
                             char *why)
{
    char path[PATH_MAX];
    c->keys_before = json_deep_copy(p->json);
    if (!c->keys_before)
        return no_memory(why);
    return file_read(box_file(box, BOX_CONFIG, path), FILE_MAX, &c->before, NULL, why, SCHEMA_WHY);
}

/* text (taken; NULL: memory is out) with the next revision, judged: it becomes c->after, and out what it
 * says. */
static enum err change_judge(const struct box *box, struct edges_change *c, char *text, struct config *out,
                             char *why)
{
    char path[PATH_MAX];
    struct config before;
    if (!text)
        return no_memory(why);
    box_file(box, BOX_CONFIG, path);
    enum err e =
        config_parse(path, c->before, &before, why); /* else its own mistakes would be told as ours */
    if (e == ERR_OK) {
        json_t *next = json_integer(before.revision + 1);
        c->revision = before.revision + 1;
        c->after = next ? json_text_set(text, "", "revision", next) : NULL;
        json_decref(next);
        config_free(&before);
        e = c->after ? config_parse(path, c->after, out, why) : no_memory(why);
    }
    free(text);
    return e;
}

static enum err change_write(const struct box *box, const struct pairing *p, struct edges_change *c,
                             const char *user, char *why)
{
    c->written = true;
    enum err e = pairing_save(box, p, user, why);
    if (e == ERR_OK && c->after && !c->text_only)
        e = box_write(box, BOX_CONFIG, c->after, strlen(c->after), 0644, user, why);
    return e;
}

/* Bundles -------------------------------------------------------------------------------------------------
 */

/* The text of the config in which this core has the key that it has now. */
static enum err config_with_core_key(const struct box *box, const struct config *config, char **out,
                                     char *why)
{
    char path[PATH_MAX], pointer[32], *pem = NULL;
    char *text = json_dumps(config->json, JSON_INDENT(2));
    enum err e =
        text ? file_read_secret(box_file(box, BOX_CORE_KEY, path), FILE_MAX, &pem, NULL, why, SCHEMA_WHY)
             : no_memory(why);
    char *line = e == ERR_OK ? ssh_key_public_of(pem) : NULL;
    json_t *key = line ? json_string(line) : NULL;
    for (size_t i = 0; i < config->cores.n && e == ERR_OK; i++) {
        if (!key || strcasecmp(config_core_at(config, i)->name, box->name) != 0)
            continue;
        snprintf(pointer, sizeof pointer, "/cores/%zu", i);
        char *changed = json_text_set(text, pointer, "key", key);
        free(text);
        text = changed;
        e = text ? ERR_OK : no_memory(why);
    }
    json_decref(key);
    free(line);
    file_wipe(pem);
    if (e == ERR_OK)
        *out = text;
    else
        free(text);
    return e;
}

enum err edges_write_bundle(const struct box *box, struct pairing *p, const struct config *config,
                            const char *name, const char *secrets, const struct ssh_key *key,
                            struct edges_bundle *bundle, const char *user, char *why)
{
    char file[80], *text = NULL;
    const struct config_edge *edge = config_edge_find(config, name);
    struct bundle b = {.edge = edge->name,
                       .secrets = (char *)(uintptr_t)secrets,
                       .host_key = key->private_pem,
                       .created = time(NULL),
                       .protocol = CTL_PROTOCOL,
                       .version = STILE_VERSION};
    b.expires = bundle->expires = b.created + bundle->seconds;
    if (!bundle_make_id(&b)) {
        snprintf(why, SCHEMA_WHY, "no random bytes");
        return ERR_SYSTEM;
    }
    enum err e = config_with_core_key(box, config, &b.config, why);
    if (e == ERR_OK)
        text = bundle_encode(&b, bundle->passphrase);
    if (e == ERR_OK && !text)
        e = no_memory(why);
    if (e == ERR_OK)
        e = box_write(box, edges_bundle_file(edge->name, file), text, strlen(text), 0600, user, why);
    struct pairing_bundle kept = {b.id, key->public_line, b.created, b.expires, bundle->passphrase != NULL};
    if (e == ERR_OK && !pairing_add_bundle(p, edge, &kept))
        e = no_memory(why);
    if (e == ERR_OK)
        box_file(box, file, bundle->path);
    free(b.config);
    file_wipe(text);
    return e;
}

static enum err write_bundle(const struct box *box, struct pairing *p, const struct config *config,
                             const char *name, const struct ssh_key *key, struct edges_bundle *bundle,
                             const char *user, char *why)
{
    char path[PATH_MAX], *secrets;
    enum err e =
        file_read_secret(box_file(box, BOX_SECRETS, path), 64 * 1024 * 1024, &secrets, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = edges_write_bundle(box, p, config, name, secrets, key, bundle, user, why);
    file_wipe(secrets);
    return e;
}

/* Changes -------------------------------------------------------------------------------------------------
 */

static enum err make_key(struct ssh_key *key, char *why)
{
    enum err e = ssh_key_make(key);
    if (e != ERR_OK)
        snprintf(why, SCHEMA_WHY, "an SSH key cannot be made: %s", err_str(e));
    return e;
}

static const char *name_of(const json_t *edge)
{
    const char *name = json_string_value(json_object_get(edge, "name"));
    return name ? name : "";
}

static enum err judge_new(const struct box *box, const char *name, char *why)
{
    if (config_edge_find(&box->config, name) || strcasecmp(name, box->name) == 0) {
        snprintf(why, SCHEMA_WHY,
                 "there is a box named \"%s\" already; for a new bundle of an edge: stile-core edge renew %s",
                 name, name);
        return ERR_EXISTS;
    }
    const char *right = config_check_name(name);
    if (right)
        snprintf(why, SCHEMA_WHY, "\"%.80s\" is not %s", name, right);
    return right ? ERR_CONFIG : ERR_OK;
}

enum err edges_add(const struct box *box, struct pairing *p, const json_t *edge, struct edges_bundle *bundle,
                   const char *user, struct edges_change *change, char *why)
{
    struct ssh_key key = {0};
    struct config judged = {0};
    json_t *whole = json_deep_copy(edge);
    enum err e = whole ? judge_new(box, name_of(edge), why) : no_memory(why);
    if (e == ERR_OK)
        e = change_begin(box, p, change, why);
    if (e == ERR_OK)
        e = make_key(&key, why);
    if (e == ERR_OK && json_object_set_new(whole, "host_key", json_string(key.public_line)) != 0)
        e = no_memory(why);
    if (e == ERR_OK)
        e = change_judge(box, change, json_text_append(change->before, "/edges", whole), &judged, why);
    if (e == ERR_OK && pairing_forget(p, name_of(edge))) /* what an earlier edge of that name had */
        e = write_bundle(box, p, &judged, name_of(edge), &key, bundle, user, why);
    if (*bundle->path)
        edges_bundle_file(name_of(edge), change->bundle);
    if (e == ERR_OK)
        e = change_write(box, p, change, user, why);
    config_free(&judged);
    ssh_key_free(&key);
    json_decref(whole);
    return e;
}

static enum err judge_known(const struct box *box, const char *name, char *why)
{
    if (config_edge_find(&box->config, name))
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "there is no edge named \"%.80s\"; 'stile-core edge list' shows them", name);
    return ERR_NOT_FOUND;
}

enum err edges_renew(const struct box *box, struct pairing *p, const char *name, struct edges_bundle *bundle,
                     const char *user, struct edges_change *change, char *why)
{
    struct ssh_key key = {0};
    enum err e = judge_known(box, name, why);
    if (e == ERR_OK)
        e = change_begin(box, p, change, why);
    if (e == ERR_OK)
        e = make_key(&key, why);
    if (e == ERR_OK)
        e = write_bundle(box, p, &box->config, name, &key, bundle, user, why);
    if (e == ERR_OK)
        e = change_write(box, p, change, user, why);
    ssh_key_free(&key);
    return e;
}

enum err edges_forget(const struct box *box, struct pairing *p, const char *name, const char *user, char *why)
{
    char file[80], path[PATH_MAX];
    if (!pairing_forget(p, name))
        return no_memory(why);
    unlink(box_file(box, edges_bundle_file(name, file), path));
    return pairing_save(box, p, user, why);
}

enum err edges_remove(const struct box *box, struct pairing *p, const char *name, const char *user,
                      struct edges_change *change, char *why)
{
    char path[PATH_MAX];
    struct config judged = {0}, now = {0};
    size_t i = 0;
    enum err e = judge_known(box, name, why);
    if (e == ERR_OK && box->config.edges.n == 1) {
        snprintf(why, SCHEMA_WHY, "%s is the only edge; add the one that takes its place first", name);
        return ERR_REFUSED;
    }
    if (e == ERR_OK)
        e = change_begin(box, p, change, why);
    if (e == ERR_OK) /* where it stands in the file, which may have changed since it was read */
        e = config_parse(box_file(box, BOX_CONFIG, path), change->before, &now, why);
    if (e != ERR_OK)
        return e;
    while (i < now.edges.n && strcasecmp(config_edge_at(&now, i)->name, name) != 0)
        i++;
    e = change_judge(box, change, json_text_remove(change->before, "/edges", i), &judged, why);
    if (e == ERR_OK && !change->text_only)
        e = change_write(box, p, change, user, why);
    if (e == ERR_OK && !change->text_only)
        e = edges_forget(box, p, config_edge_at(&now, i)->name, user, why); /* as it is written there */
    config_free(&judged);
    config_free(&now);
    return e;
}

/* Showing -------------------------------------------------------------------------------------------------
 */

static const char *fingerprint(const char *line, char out[HOST_KEY_FINGERPRINT])
{
    struct host_key key;
    if (host_key_parse(line, &key) == ERR_OK)
        return host_key_fingerprint(key.blob, key.len, out);
    snprintf(out, HOST_KEY_FINGERPRINT, "?");
    return out;
}

static json_t *list_bundle(const struct box *box, const char *edge, const json_t *bundle)
{
    char created[32], expires[32], file[80], path[PATH_MAX];
    if (!bundle)
        return NULL;
    box_file(box, edges_bundle_file(edge, file), path);
    return json_pack("{ss ss ss ss sb}", "id", json_string_value(json_object_get(bundle, "id")), "file",
                     access(path, F_OK) == 0 ? path : "", "created",
                     pairing_time((time_t)json_integer_value(json_object_get(bundle, "created")), created),
                     "expires",
                     pairing_time((time_t)json_integer_value(json_object_get(bundle, "expires")), expires),
                     "encrypted", json_is_true(json_object_get(bundle, "encrypted")));
}

json_t *edges_list(const struct box *box, const struct pairing *p, time_t now)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < box->config.edges.n; i++) {
        const struct config_edge *edge = config_edge_at(&box->config, i);
        const json_t *entry = pairing_edge(p, edge->name);
        json_int_t paired = json_integer_value(json_object_get(entry, "paired"));
        char key[HOST_KEY_FINGERPRINT], since[32];
        json_t *row =
            json_pack("{ss ss ss* ss ss ss* so*}", "name", edge->name, "ssh", edge->ssh, "public_address",
                      edge->public_address, "pairing", pairing_state_str(pairing_state(p, edge->name, now)),
                      "host_key", fingerprint(pairing_host_key(p, edge), key), "paired",
                      paired ? pairing_time((time_t)paired, since) : NULL, "bundle",
                      list_bundle(box, edge->name, json_object_get(entry, "bundle")));
        if (!row || json_array_append_new(list, row) != 0)
            break;
    }
    return list;
}
