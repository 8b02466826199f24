/*
 * Keys and secrets that core changes while the tunnels run (docs/pairing.md): what core wants arrives as a
 * whole, is done as far as it is not done yet, and the answer says how things stand. So it may come twice,
 * from several tunnels, or again after either box was killed in the middle.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/json_text.h"
#include "common/log.h"
#include "common/ssh_key.h"
#include "edge/edge.h"

enum { KEY_FILE_MAX = 16384, SECRETS_FILE_MAX = 64 * 1024 * 1024 };

enum err edge_keys_start(struct edge *e, char *why)
{
    return core_keys_load(e->box, &e->core_keys, why);
}

void edge_keys_stop(struct edge *e)
{
    core_keys_free(&e->core_keys);
}

/* Core's keys ---------------------------------------------------------------------------------------------
 */

static enum err keys_accept(struct edge *e, const char *core, const json_t *msg, char *why)
{
    bool changed;
    const json_t *keys = json_object_get(msg, "core_keys");
    if (!keys)
        return ERR_OK;
    enum err err =
        core_keys_set(&e->core_keys, e->box, core, keys, json_object_get(msg, "replaced"), &changed, why);
    if (err == ERR_OK && e->sshd) /* also where a crash kept this from following the file */
        err = sshd_update_keys(e->sshd, why);
    if (err == ERR_OK && changed &&
        e->attachments) /* also the one that said so, when its own key counts no longer */
        attachments_drop_cores(e->attachments);
    if (err == ERR_OK && changed)
        log_event(LOG_NOTICE, "Core Keys Changed", "core=%s keys=%zu", core, json_array_size(keys));
    return err;
}

/* The host key --------------------------------------------------------------------------------------------
 */

/* The public half of a key in the box's folder, malloc'd; NULL when it is not there. */
static char *key_line(const struct edge *e, const char *file)
{
    char path[PATH_MAX], unused[SCHEMA_WHY], *pem;
    if (file_read_secret(box_file(e->box, file, path), KEY_FILE_MAX, &pem, NULL, unused, sizeof unused) !=
        ERR_OK)
        return NULL;
    char *line = ssh_key_public_of(pem);
    file_wipe(pem);
    return line;
}

static enum err host_key_make(const struct edge *e, char *why)
{
    struct ssh_key key;
    char *there = key_line(e, BOX_NEXT_HOST_KEY), *used = key_line(e, BOX_HOST_KEY);
    /* Killed between the two files of host_key_use, the "next" one is in use already. */
    bool is_next = there && !(used && strcmp(there, used) == 0);
    free(there);
    free(used);
    if (is_next)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "a host key cannot be made");
    enum err err = ssh_key_make(&key);
    if (err != ERR_OK)
        return err;
    err = box_write(e->box, BOX_NEXT_HOST_KEY, key.private_pem, strlen(key.private_pem), 0600, BOX_USER, why);
    ssh_key_free(&key);
    return err;
}

/* Puts the next key, if it is that one, in the place of the one in use: the file first, then sshd is told. */
static enum err host_key_use(struct edge *e, const char *wanted, char *why)
{
    char path[PATH_MAX], *pem = NULL, *line = key_line(e, BOX_NEXT_HOST_KEY);
    bool is_next = line && strcmp(line, wanted) == 0;
    free(line);
    if (!is_next)
        return ERR_OK; /* done already, or another box's */
    box_file(e->box, BOX_NEXT_HOST_KEY, path);
    enum err err = file_read_secret(path, KEY_FILE_MAX, &pem, NULL, why, SCHEMA_WHY);
    if (err == ERR_OK)
        err = box_write(e->box, BOX_HOST_KEY, pem, strlen(pem), 0600, BOX_USER, why);
    file_wipe(pem);
    if (err != ERR_OK)
        return err;
    unlink(path);
    if (e->sshd)
        sshd_new_host_key(e->sshd);
    log_event(LOG_NOTICE, "Host Key Replaced", "name=%s", e->box->name);
    return ERR_OK;
}

static enum err keys_host(struct edge *e, const json_t *msg, char *why)
{
    const char *use = json_string_value(json_object_get(msg, "use_host_key"));
    enum err err = ERR_OK;
    if (!use && json_is_true(json_object_get(msg, "make_host_key")))
        err = host_key_make(e, why);
    if (err == ERR_OK && use)
        err = host_key_use(e, use, why);
    return err;
}

/* Secrets -------------------------------------------------------------------------------------------------
 */

/* secrets.json with these two members; everything else stays as its owner wrote it. */
static char *secrets_text(const char *text, const json_t *shared, const json_t *nonce_key)
{
    char *once = json_text_set(text, "", "turn_shared_secrets", shared);
    char *twice = once ? json_text_set(once, "", "turn_nonce_key", nonce_key) : NULL;
    file_wipe(once);
    return twice;
}

static enum err secrets_write(const struct edge *e, const json_t *shared, const json_t *nonce_key, char *why)
{
    char path[PATH_MAX], *text, *fresh;
    struct secrets judged;
    box_file(e->box, BOX_SECRETS, path);
    enum err err = file_read_secret(path, SECRETS_FILE_MAX, &text, NULL, why, SCHEMA_WHY);
    if (err != ERR_OK)
        return err;
    fresh = secrets_text(text, shared, nonce_key);
    snprintf(why, SCHEMA_WHY, "out of memory, or secrets.json is no JSON object");
    err = fresh ? secrets_parse("the secrets that core sent", fresh, &judged, why) : ERR_MEMORY;
    if (err == ERR_OK) {
        secrets_free(&judged);
        if (strcmp(text, fresh) != 0)
            err = box_write(e->box, BOX_SECRETS, fresh, strlen(fresh), 0600, BOX_USER, why);
    }
    file_wipe(text);
    file_wipe(fresh);
    return err;
}

/* A reload takes over what was written; the digest of the next answer says when that is done. */
static enum err keys_secrets(struct edge *e, const char *core, const json_t *msg, char *why)
{
    char now[SECRETS_DIGEST], wanted[SECRETS_DIGEST];
    const json_t *secrets = json_object_get(msg, "secrets"),
                 *shared = json_object_get(secrets, "turn_shared_secrets"),
                 *nonce_key = json_object_get(secrets, "turn_nonce_key");
    if (!secrets)
        return ERR_OK;
    if (!shared || !nonce_key || !secrets_digest_json(shared, nonce_key, wanted)) {
        snprintf(why, SCHEMA_WHY, "malformed secrets");
        return ERR_MALFORMED;
    }
    if (secrets_digest(&e->box->secrets, now) && strcmp(now, wanted) == 0)
        return ERR_OK;
    enum err err = secrets_write(e, shared, nonce_key, why);
    if (err == ERR_OK && e->requests && !e->reload)
        requests_submit(e->requests,
                        json_pack("{ss so}", "type", "reload", "by", json_sprintf("core:%s", core)));
    return err;
}

/* All of it -----------------------------------------------------------------------------------------------
 */

json_t *edge_keys_heard(void *edge, const char *core, const json_t *msg)
{
    struct edge *e = edge;
    char why[SCHEMA_WHY], quoted[2 * SCHEMA_WHY], secrets[SECRETS_DIGEST] = "";
    enum err err = keys_accept(e, core, msg, why);
    if (err == ERR_OK)
        err = keys_host(e, msg, why);
    if (err == ERR_OK)
        err = keys_secrets(e, core, msg, why);
    if (err != ERR_OK)
        log_event(LOG_ERR, "Keys Not Taken Over", "core=%s reason=%s", core,
                  log_quote(why, strlen(why), quoted, sizeof quoted));
    char *key = key_line(e, BOX_HOST_KEY), *next = key_line(e, BOX_NEXT_HOST_KEY);
    (void)secrets_digest(&e->box->secrets, secrets);
    json_t *answer = json_pack("{ss* ss* ss ss*}", "host_key", key, "next_host_key", next, "secrets", secrets,
                               "error", err == ERR_OK ? NULL : why);
    free(key);
    free(next);
    return answer;
}
