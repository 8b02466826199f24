/*
 * `stile-core key rotate`: new SSH keys and secrets in the place of old ones, over tunnels that go on
 * running. Where it stands is in keys.json ("rotation"), so that either box may be killed in the middle:
 *
 * spreading: edges are told: core's next key is accepted beside the one in use, the edge makes a host key and
 * takes it, new secrets count beside old ones; until every edge has said that it is done.
 *
 * overlap: core uses its new key: tunnels are replaced one by one, old ones end with what runs in them;
 * secrets that applications still have go on counting until the overlap is over.
 *
 * ending: edges are told that old keys and secrets count no longer; until every edge has said that it is
 * done.
 *
 * core_ed25519.next is core's next key until `overlap` begins.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/file.h"
#include "common/json_text.h"
#include "common/log.h"
#include "common/ssh_key.h"
#include "core/core.h"
#include "core/tunnel/host_key.h"

enum {
    KEY_FILE_MAX = 16384,
    SECRETS_FILE_MAX = 64 * 1024 * 1024,
    OVERLAP = 86400,
    OVERLAP_LONGEST = 30 * 86400
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static json_t *rotation(const struct core *c)
{
    return json_object_get(c->pairing.json, "rotation");
}

static bool in_phase(const struct core *c, const char *phase)
{
    return strcmp(text_of(rotation(c), "phase"), phase) == 0;
}

static void set_phase(struct core *c, const char *phase)
{
    json_object_set_new(rotation(c), "phase", json_string(phase));
    json_object_del(rotation(c), "problem");
    core_keys_save(c);
    log_event(LOG_NOTICE, "Key Rotation", "phase=%s what=%s", phase, text_of(rotation(c), "what"));
    core_keys_tell(c);
}

bool core_rotation_runs(const struct core *c)
{
    return rotation(c) != NULL;
}

/* What it is about -----------------------------------------------------------------------------------------
 */

json_t *core_rotation_core_keys(const struct core *c)
{
    const json_t *core = json_object_get(rotation(c), "core");
    const char *from = text_of(core, "from"), *to = text_of(core, "to");
    char *now = ssh_key_public_of(c->material.client_key);
    json_t *keys = json_array();
    json_array_append_new(keys, json_string(now ? now : ""));
    if (core && now && !in_phase(c, "ending"))
        json_array_append_new(keys, json_string(strcmp(now, to) == 0 ? from : to));
    free(now);
    return keys;
}

const char *core_rotation_host_key(const struct core *c, const char *edge)
{
    return in_phase(c, "spreading")
               ? json_string_value(json_object_get(json_object_get(rotation(c), "edges"), edge))
               : NULL;
}

double core_rotation_overlap(const struct core *c)
{
    const json_t *overlap = json_object_get(rotation(c), "overlap");
    return overlap ? (double)json_integer_value(overlap) : OVERLAP;
}

json_t *core_rotation_secrets(const struct core *c)
{
    const struct secrets *s = &c->box->secrets;
    if (!json_is_true(json_object_get(rotation(c), "secrets")))
        return NULL;
    return json_pack("{so ss}", "turn_shared_secrets", schema_strings_json(&s->turn_shared_secrets),
                     "turn_nonce_key", s->turn_nonce_key);
}

/* Why an edge is not as far as core wants it; NULL when it is. Borrowed, or static. */
static const char *edge_lacks(const struct core *c, const struct config_edge *edge)
{
    const json_t *ack = json_object_get(c->acks, edge->name);
    char wanted[SECRETS_DIGEST];
    const json_t *edges = json_object_get(rotation(c), "edges");
    bool is_meant = !edges || json_is_true(json_object_get(rotation(c), "everybody")) ||
                    json_object_get(edges, edge->name);
    if (!is_meant)
        return NULL;
    if (!ack)
        return "it has no tunnel, or its version knows no rotation";
    if (*text_of(ack, "error"))
        return text_of(ack, "error");
    if (json_integer_value(json_object_get(ack, "id")) != c->keys_id)
        return "it has not answered yet";
    if (core_rotation_host_key(c, edge->name) &&
        strcmp(core_rotation_host_key(c, edge->name), pairing_host_key(&c->pairing, edge)) == 0)
        return "it has not taken its new host key yet";
    if (json_is_true(json_object_get(rotation(c), "secrets")) &&
        (!secrets_digest(&c->box->secrets, wanted) || strcmp(wanted, text_of(ack, "secrets")) != 0))
        return "it has not taken the secrets yet";
    return NULL;
}

static bool edges_are_there(const struct core *c)
{
    for (size_t i = 0; i < c->box->config.edges.n; i++)
        if (edge_lacks(c, config_edge_at(&c->box->config, i)))
            return false;
    return true;
}

/* Core's own files -----------------------------------------------------------------------------------------
 */

static enum err read_key(const struct core *c, const char *file, char **pem, char **line, char *why)
{
    char path[PATH_MAX];
    enum err e = file_read_secret(box_file(c->box, file, path), KEY_FILE_MAX, pem, NULL, why, SCHEMA_WHY);
    *line = e == ERR_OK ? ssh_key_public_of(*pem) : NULL;
    if (e == ERR_OK && !*line) {
        snprintf(why, SCHEMA_WHY, "%s: no Ed25519 key in OpenSSH's form", path);
        file_wipe(*pem);
        e = ERR_CONFIG;
    }
    return e;
}

/* A next key lies ready, and the rotation says which. */
static enum err prepare_core_key(struct core *c, json_t *r, char *why)
{
    char *pem, *line;
    struct ssh_key key;
    json_t *core = json_object_get(r, "core");
    enum err e = read_key(c, BOX_NEXT_CORE_KEY, &pem, &line, why);
    if (e == ERR_OK) {
        json_object_set_new(core, "to", json_string(line));
        file_wipe(pem);
        free(line);
        return ERR_OK;
    }
    snprintf(why, SCHEMA_WHY, "an SSH key cannot be made");
    e = ssh_key_make(&key);
    if (e != ERR_OK)
        return e;
    e = box_write(c->box, BOX_NEXT_CORE_KEY, key.private_pem, strlen(key.private_pem), 0600, BOX_USER, why);
    if (e == ERR_OK)
        json_object_set_new(core, "to", json_string(key.public_line));
    ssh_key_free(&key);
    return e;
}

/* Core was killed when its file had the next key, and the rotation did not say so yet. */
static bool is_used_already(const struct core *c)
{
    char *line = c->material.client_key ? ssh_key_public_of(c->material.client_key) : NULL;
    bool used = line && strcmp(line, text_of(json_object_get(rotation(c), "core"), "to")) == 0;
    free(line);
    return used;
}

/* The next key becomes the one in use: in its file first, as every edge accepts both. */
static enum err use_core_key(struct core *c, char *why)
{
    char *pem, *line, path[PATH_MAX];
    if (is_used_already(c)) {
        unlink(box_file(c->box, BOX_NEXT_CORE_KEY, path));
        return ERR_OK;
    }
    enum err e = read_key(c, BOX_NEXT_CORE_KEY, &pem, &line, why);
    if (e != ERR_OK)
        return e;
    e = box_write(c->box, BOX_CORE_KEY, pem, strlen(pem), 0600, BOX_USER, why);
    if (e == ERR_OK) {
        unlink(box_file(c->box, BOX_NEXT_CORE_KEY, path));
        file_wipe(c->material.client_key);
        c->material.client_key = pem;
        pem = NULL;
    }
    file_wipe(pem);
    free(line);
    return e;
}

/* secrets.json with these, the rest as its owner wrote it; taken over. */
static enum err write_secrets(struct core *c, const json_t *shared, const json_t *nonce_key, char *why)
{
    char path[PATH_MAX], *text;
    struct secrets fresh;
    box_file(c->box, BOX_SECRETS, path);
    enum err e = file_read_secret(path, SECRETS_FILE_MAX, &text, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    char *once = json_text_set(text, "", "turn_shared_secrets", shared);
    char *twice = once ? json_text_set(once, "", "turn_nonce_key", nonce_key) : NULL;
    snprintf(why, SCHEMA_WHY, "out of memory");
    e = twice ? secrets_parse(path, twice, &fresh, why) : ERR_MEMORY;
    if (e == ERR_OK) {
        e = box_write(c->box, BOX_SECRETS, twice, strlen(twice), 0600, BOX_USER, why);
        if (e == ERR_OK) {
            secrets_free(&c->daemon.box.secrets);
            c->daemon.box.secrets = fresh;
        } else {
            secrets_free(&fresh);
        }
    }
    file_wipe(text);
    file_wipe(once);
    file_wipe(twice);
    return e;
}

static json_t *random_hex(void)
{
    unsigned char raw[32];
    char text[65];
    if (RAND_bytes(raw, sizeof raw) != 1)
        fatal("no random bytes");
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(text + 2 * i, 3, "%02x", raw[i]);
    json_t *json = json_string(text);
    OPENSSL_cleanse(raw, sizeof raw);
    OPENSSL_cleanse(text, sizeof text);
    return json;
}

/* A new secret in front of the one in use, which goes on counting; older ones end here. */
static enum err make_secrets(struct core *c, char *why)
{
    const struct schema_strings *old = &c->box->secrets.turn_shared_secrets;
    json_t *shared = json_array(), *nonce_key = random_hex();
    json_array_append_new(shared, random_hex());
    if (old->n > 0)
        json_array_append_new(shared, json_string(old->items[0]));
    enum err e = write_secrets(c, shared, nonce_key, why);
    json_decref(shared);
    json_decref(nonce_key);
    return e;
}

/* Of the secrets in use: their digest, a new string. */
static json_t *secrets_now(const struct core *c)
{
    char digest[SECRETS_DIGEST] = "";
    if (!secrets_digest(&c->box->secrets, digest))
        fatal("out of memory");
    return json_string(digest);
}

/* Whether those are still the ones from before the rotation. */
static bool secrets_are_old(const struct core *c)
{
    json_t *now = secrets_now(c);
    bool old = json_equal(now, json_object_get(rotation(c), "secrets_before"));
    json_decref(now);
    return old;
}

static enum err end_secrets(struct core *c, char *why)
{
    const struct secrets *s = &c->box->secrets;
    json_t *shared = json_array(), *nonce_key = json_string(s->turn_nonce_key);
    if (s->turn_shared_secrets.n > 0)
        json_array_append_new(shared, json_string(s->turn_shared_secrets.items[0]));
    enum err e = write_secrets(c, shared, nonce_key, why);
    json_decref(shared);
    json_decref(nonce_key);
    return e;
}

/* Going on -------------------------------------------------------------------------------------------------
 */

static void complain(struct core *c, const char *why)
{
    if (strcmp(text_of(rotation(c), "problem"), why) != 0)
        log_event(LOG_ERR, "Key Rotation Held Up", "reason=\"%s\"", why);
    json_object_set_new(rotation(c), "problem", json_string(why));
}

static void finish(struct core *c)
{
    json_t *r = json_incref(rotation(c));
    json_object_set_new(r, "ended", json_integer((json_int_t)time(NULL)));
    json_object_del(r, "phase");
    json_object_del(r, "problem");
    json_object_set(c->pairing.json, "last_rotation", r);
    json_object_del(c->pairing.json, "rotation");
    core_keys_save(c);
    log_event(LOG_NOTICE, "Key Rotation Done", "what=%s", text_of(r, "what"));
    json_decref(r);
    core_keys_tell(c);
}

static void begin_overlap(struct core *c)
{
    char why[SCHEMA_WHY];
    json_t *r = rotation(c);
    bool core = json_object_get(r, "core") != NULL, secrets = json_is_true(json_object_get(r, "secrets"));
    double overlap = core_rotation_overlap(c);
    if (core && use_core_key(c, why) != ERR_OK) {
        complain(c, why);
        return;
    }
    if (!core && !secrets) { /* host keys alone */
        finish(c);
        return;
    }
    json_object_set_new(r, "ends", json_integer((json_int_t)time(NULL) + (json_int_t)overlap));
    if (core) {
        json_t *old = json_object_get(c->pairing.json, "core_keys");
        if (!old)
            json_object_set_new(c->pairing.json, "core_keys", old = json_array());
        if (json_array_size(old) >= PAIRING_KEYS_MAX)
            json_array_remove(old, 1); /* the first may be that of stile.json: core_keys_of */
        json_array_append_new(old, json_string(text_of(json_object_get(r, "core"), "from")));
    }
    set_phase(c, "overlap");
    if (core)
        core_tunnels_replace(c, overlap);
}

/* The edge has been reached with the new key. */
static bool tunnel_is_up(const struct core *c, const struct config_edge *edge)
{
    const struct core_tunnel *t;
    bool up = false;
    TAILQ_FOREACH (t, &c->tunnels, next)
        up |=
            !t->leaving && !t->passing && strcmp(t->edge, edge->name) == 0 && strcmp(t->state, "active") == 0;
    return up;
}

static bool tunnels_are_up(const struct core *c)
{
    for (size_t i = 0; i < c->box->config.edges.n; i++)
        if (!tunnel_is_up(c, config_edge_at(&c->box->config, i)))
            return false;
    return true;
}

static void look_at_overlap(struct core *c)
{
    char why[SCHEMA_WHY];
    json_t *r = rotation(c);
    bool core = json_object_get(r, "core") != NULL, secrets = json_is_true(json_object_get(r, "secrets"));
    bool over = time(NULL) >= (time_t)json_integer_value(json_object_get(r, "ends"));
    if ((core && !tunnels_are_up(c)) || (!over && (secrets || core_tunnels_passing(c))))
        return;
    if (secrets && end_secrets(c, why) != ERR_OK) {
        complain(c, why);
        return;
    }
    set_phase(c, "ending");
}

void core_rotation_step(struct core *c)
{
    /* A change of the config has read keys and secrets, and would put old ones back. */
    if (c->stopping || c->change || !rotation(c))
        return;
    if (in_phase(c, "spreading") && edges_are_there(c))
        begin_overlap(c);
    else if (in_phase(c, "overlap"))
        look_at_overlap(c);
    else if (in_phase(c, "ending") && edges_are_there(c))
        finish(c);
}

/* Killed in the middle: files say how far secrets and core's own key had come. */
enum err core_rotation_start(struct core *c, char *why)
{
    json_t *r = rotation(c), *core = json_object_get(r, "core");
    if (!in_phase(c, "spreading"))
        return ERR_OK;
    enum err e = secrets_are_old(c) ? make_secrets(c, why) : ERR_OK;
    if (e != ERR_OK || !core)
        return e;
    char *now = ssh_key_public_of(c->material.client_key);
    bool switched = now && strcmp(now, text_of(core, "to")) == 0;
    free(now);
    return switched ? ERR_OK : prepare_core_key(c, r, why);
}

/* Beginning ------------------------------------------------------------------------------------------------
 */

static enum err refuse(char *why, const char *words)
{
    snprintf(why, SCHEMA_WHY, "%s", words);
    return ERR_REFUSED;
}

static enum err judge_edges(const struct core *c, const char *only, char *why)
{
    if (only && !config_edge_find(&c->box->config, only)) {
        snprintf(why, SCHEMA_WHY, "there is no edge named \"%.80s\"; 'stile-core edge list' shows them",
                 only);
        return ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < c->box->config.edges.n; i++) {
        const char *name = config_edge_at(&c->box->config, i)->name;
        if ((only && strcasecmp(only, name) != 0) ||
            pairing_state(&c->pairing, name, time(NULL)) == PAIRING_PAIRED)
            continue;
        snprintf(
            why, SCHEMA_WHY,
            "a bundle of %s is not used yet, and would not know the new keys; pair it first, or remove it",
            name);
        return ERR_REFUSED;
    }
    return ERR_OK;
}

static enum err judge(const struct core *c, bool ssh, bool secrets, const char *only, json_int_t overlap,
                      char *why)
{
    if (rotation(c))
        return refuse(why, "keys are being rotated already; 'stile-core key show' says how far that is, "
                           "'stile-core key finish' ends its overlap");
    if (!ssh && !secrets)
        return refuse(why, "what is to be rotated: ssh, secrets or all?");
    if (only && secrets)
        return refuse(
            why, "secrets are the same on every edge: rotate them without --edge, or --ssh alone with it");
    if (overlap < 0 || overlap > OVERLAP_LONGEST)
        return refuse(why, "an overlap lasts for 0 seconds to 30 days");
    if (ssh && !only && 2 * c->n_tunnels > CORE_TUNNELS_MAX)
        return refuse(
            why, "there are too many tunnels to have each of them twice; lower web_proxy.tunnels_per_edge");
    return judge_edges(c, only, why);
}

/* The host keys that shall be replaced, by edge. */
static json_t *host_keys_now(const struct core *c, const char *only)
{
    json_t *keys = json_object();
    for (size_t i = 0; i < c->box->config.edges.n; i++) {
        const struct config_edge *edge = config_edge_at(&c->box->config, i);
        if (!only || strcasecmp(only, edge->name) == 0)
            json_object_set_new(keys, edge->name, json_string(pairing_host_key(&c->pairing, edge)));
    }
    return keys;
}

/* On the disk before the secrets are others: killed in between, core_rotation_start makes them. */
static enum err begin_kept(struct core *c, json_t *r, char *why)
{
    json_object_set(c->pairing.json, "rotation", r);
    enum err e = pairing_save(c->box, &c->pairing, BOX_USER, why);
    if (e == ERR_OK && json_is_true(json_object_get(r, "secrets")))
        e = make_secrets(c, why);
    if (e == ERR_OK)
        return e;
    json_object_del(c->pairing.json, "rotation");
    core_keys_save(c);
    return e;
}

static enum err begin(struct core *c, bool ssh, bool secrets, const char *only, json_int_t overlap, char *why)
{
    json_t *r = json_pack("{ss ss sI sI sb sb}", "what",
                          ssh && secrets ? "all"
                          : ssh          ? "ssh"
                                         : "secrets",
                          "phase", "spreading", "started", (json_int_t)time(NULL), "overlap", overlap,
                          "secrets", (int)secrets, "everybody", only == NULL);
    enum err e = r ? ERR_OK : ERR_MEMORY;
    if (ssh)
        json_object_set_new(r, "edges", host_keys_now(c, only));
    if (ssh && !only && e == ERR_OK) {
        char *now = ssh_key_public_of(c->material.client_key);
        json_object_set_new(r, "core", json_pack("{ss}", "from", now ? now : ""));
        free(now);
        e = prepare_core_key(c, r, why);
    }
    if (secrets && e == ERR_OK)
        json_object_set_new(r, "secrets_before", secrets_now(c));
    if (e == ERR_OK)
        e = begin_kept(c, r, why);
    json_decref(r);
    if (e == ERR_OK)
        set_phase(c, "spreading");
    return e;
}

void core_key_rotate_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    char why[SCHEMA_WHY] = "out of memory";
    const char *what = text_of(msg, "what"), *only = json_string_value(json_object_get(msg, "edge"));
    const json_t *seconds = json_object_get(msg, "overlap");
    json_int_t overlap = seconds ? json_integer_value(seconds) : OVERLAP;
    bool all = strcmp(what, "all") == 0, ssh = all || strcmp(what, "ssh") == 0,
         secrets = all || strcmp(what, "secrets") == 0;
    enum err e = judge(c, ssh, secrets, only, overlap, why);
    if (e == ERR_OK)
        e = begin(c, ssh, secrets, only, overlap, why);
    if (e == ERR_OK)
        request_answer(r, json_pack("{ss so}", "type", "key_rotate", "rotation", core_rotation_status(c)));
    else
        request_refuse(r, why);
}

/* No more time for what is old. Tunnels with core's new key, and what edges must have said, are waited for
 * all the same: nobody is locked out. In `spreading` the overlap to come is over as soon as it begins. */
static enum err end_early(struct core *c, char *why)
{
    json_t *r = rotation(c);
    if (!r)
        return refuse(why, "no keys are being rotated");
    if (in_phase(c, "ending"))
        return refuse(why, "the overlap is over already; 'stile-core key show' says whom it waits for");
    json_object_set_new(r, "overlap", json_integer(0));
    if (in_phase(c, "overlap"))
        json_object_set_new(r, "ends", json_integer((json_int_t)time(NULL)));
    core_keys_save(c);
    log_event(LOG_NOTICE, "Key Rotation Overlap Cut", "what=%s", text_of(r, "what"));
    core_rotation_step(c);
    return ERR_OK;
}

void core_key_finish_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    char why[SCHEMA_WHY];
    (void)msg;
    if (end_early(c, why) == ERR_OK)
        request_answer(r, json_pack("{ss so}", "type", "key_finish", "rotation", core_rotation_status(c)));
    else
        request_refuse(r, why);
}

/* Showing --------------------------------------------------------------------------------------------------
 */

/* Why the overlap cannot end yet, whatever the clock says. */
static const char *overlap_lacks(const struct core *c, const struct config_edge *edge)
{
    return json_object_get(rotation(c), "core") && !tunnel_is_up(c, edge)
               ? "it has no tunnel with core's new key yet"
               : NULL;
}

json_t *core_rotation_status(const struct core *c)
{
    const json_t *r = rotation(c), *last = json_object_get(c->pairing.json, "last_rotation");
    const json_t *shown = r ? r : last;
    char started[32], ends[32];
    if (!shown)
        return json_null();
    time_t end = (time_t)json_integer_value(json_object_get(shown, r ? "ends" : "ended"));
    json_t *waiting = json_array();
    for (size_t i = 0; r && i < c->box->config.edges.n; i++) {
        const struct config_edge *edge = config_edge_at(&c->box->config, i);
        const char *lacks = in_phase(c, "overlap") ? overlap_lacks(c, edge) : edge_lacks(c, edge);
        if (lacks)
            json_array_append_new(waiting, json_pack("{ss ss}", "edge", edge->name, "reason", lacks));
    }
    return json_pack("{ss ss ss ss* so ss}", "what", text_of(shown, "what"), "phase",
                     r ? text_of(r, "phase") : "done", "started",
                     pairing_time((time_t)json_integer_value(json_object_get(shown, "started")), started),
                     r ? "overlap_ends" : "ended", end ? pairing_time(end, ends) : NULL, "waiting_for",
                     waiting, "problem", text_of(shown, "problem"));
}

void core_rotation_print(const json_t *r)
{
    size_t i;
    json_t *row;
    const char *end = json_string_value(json_object_get(r, "ended")), *ends = text_of(r, "overlap_ends");
    if (!json_is_object(r))
        return;
    printf("Key rotation (%s): %s, since %s%s%s%s%s\n", text_of(r, "what"), text_of(r, "phase"),
           text_of(r, "started"), end ? ", ended " : "", end ? end : "", *ends ? ", overlap until " : "",
           ends);
    json_array_foreach (json_object_get(r, "waiting_for"), i, row)
        printf("  waits for %s: %s\n", text_of(row, "edge"), text_of(row, "reason"));
    if (*text_of(r, "problem"))
        printf("  held up: %s\n", text_of(r, "problem"));
}

/* Which keys there are, by their fingerprints. */
void core_key_show_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    struct host_key key;
    char text[HOST_KEY_FINGERPRINT] = "?";
    (void)msg;
    char *line = ssh_key_public_of(c->material.client_key);
    if (line && host_key_parse(line, &key) == ERR_OK)
        host_key_fingerprint(key.blob, key.len, text);
    free(line);
    json_t *edges = json_array();
    for (size_t i = 0; i < c->box->config.edges.n; i++) {
        const struct config_edge *edge = config_edge_at(&c->box->config, i);
        char host[HOST_KEY_FINGERPRINT] = "?";
        if (host_key_parse(pairing_host_key(&c->pairing, edge), &key) == ERR_OK)
            host_key_fingerprint(key.blob, key.len, host);
        json_array_append_new(edges, json_pack("{ss ss}", "name", edge->name, "host_key", host));
    }
    request_answer(r, json_pack("{ss ss si so so}", "type", "key_show", "core_key", text,
                                "turn_shared_secrets", (int)c->box->secrets.turn_shared_secrets.n, "edges",
                                edges, "rotation", core_rotation_status(c)));
}
