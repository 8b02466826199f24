#include "common/bundle.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/file.h"
#include "common/json_frame.h"
#include "common/seal.h"
#include "common/text.h"

enum { CHECK = 65, CLOCKS_MAY_DIFFER = 600, VALUES_MAX = 64 };

/* The parts ---------------------------------------------------------------------------------------------- */

bool bundle_make_id(struct bundle *b)
{
    unsigned char raw[(BUNDLE_ID - 1) / 2];
    if (RAND_bytes(raw, sizeof raw) != 1)
        return false;
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(b->id + 2 * i, 3, "%02x", raw[i]);
    return true;
}

/* What may be read without the passphrase, and must not be changed without it. */
static json_t *bundle_head(const struct bundle *b)
{
    return json_pack("{si ss ss sI sI si ss}", "stile_bundle", BUNDLE_VERSION, "id", b->id, "edge", b->edge,
                     "created", (json_int_t)b->created, "expires", (json_int_t)b->expires, "protocol",
                     b->protocol, "version", b->version);
}

static json_t *bundle_body(const struct bundle *b)
{
    return json_pack("{ss ss ss}", "config", b->config, "secrets", b->secrets, "host_key", b->host_key);
}

/* A digest of JSON, so that damage on the way is told as such. */
static bool bundle_check(const json_t *json, char out[CHECK])
{
    unsigned char digest[32];
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    bool done = text && EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; i < sizeof digest && done; i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    file_wipe(text);
    return done;
}

/* Writing ------------------------------------------------------------------------------------------------ */

static char *print_plain(json_t *head, json_t *body)
{
    char check[CHECK];
    if (json_object_update(head, body) != 0 || !bundle_check(head, check) ||
        json_object_set_new(head, "check", json_string(check)) != 0)
        return NULL;
    return json_dumps(head, JSON_INDENT(1));
}

static char *print_sealed(json_t *head, const json_t *body, const char *passphrase)
{
    char *bound = json_dumps(head, JSON_COMPACT | JSON_SORT_KEYS), *text = json_dumps(body, JSON_COMPACT),
         *sealed = NULL, *out = NULL;
    if (bound && text && seal_make(passphrase, bound, text, &sealed) == ERR_OK &&
        json_object_set_new(head, "sealed", json_string(sealed)) == 0)
        out = json_dumps(head, JSON_INDENT(1));
    free(bound);
    file_wipe(text);
    free(sealed);
    return out;
}

char *bundle_encode(const struct bundle *b, const char *passphrase)
{
    json_t *head = bundle_head(b), *body = bundle_body(b);
    char *text = NULL;
    if (head && body)
        text = passphrase ? print_sealed(head, body, passphrase) : print_plain(head, body);
    json_decref(head);
    json_decref(body);
    return text;
}

/* Reading ------------------------------------------------------------------------------------------------ */

static const char *bundle_string(const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));
    return s ? s : "";
}

/* A file of this size could hold values for all the memory of a box, and nobody has proved who made it. */
static json_t *bundle_load(const char *text)
{
    return json_shape_ok(text, strlen(text), VALUES_MAX) ? json_loads(text, JSON_REJECT_DUPLICATES, NULL)
                                                         : NULL;
}

bool bundle_is_encrypted(const char *text)
{
    json_t *json = bundle_load(text);
    bool sealed = json_is_string(json_object_get(json, "sealed"));
    json_decref(json);
    return sealed;
}

static enum err damaged(const char *name, char *why)
{
    snprintf(why, SCHEMA_WHY, "%s: not a Stile bundle, or damaged on its way; copy it again from core", name);
    return ERR_CONFIG;
}

static enum err judge_version(const char *name, const json_t *json, char *why)
{
    json_int_t version = json_integer_value(json_object_get(json, "stile_bundle"));
    if (version == 0)
        return damaged(name, why);
    if (version == BUNDLE_VERSION)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s: bundle of version %lld, this program reads %d; update %s, then make a new one", name,
             (long long)version, BUNDLE_VERSION, version > BUNDLE_VERSION ? "this edge" : "core");
    return ERR_CONFIG;
}

static const char *when(time_t t, char out[32])
{
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        snprintf(out, 32, "%lld", (long long)t);
    return out;
}

/* By this box's clock: that of core is compared when the first tunnel comes up. */
static enum err judge_time(const char *name, const struct bundle *b, time_t now, char *why)
{
    char at[32], clock[32];
    if (now >= b->expires) {
        snprintf(
            why, SCHEMA_WHY,
            "%s: expired at %s, and this box's clock says %s. If the clock is right, make a new bundle on "
            "core: stile-core edge renew %s; else set the clock",
            name, when(b->expires, at), when(now, clock), b->edge);
        return ERR_CONFIG;
    }
    if (now + CLOCKS_MAY_DIFFER >= b->created)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s: made in the future (%s), while this box's clock says %s; the clocks of the two boxes "
             "differ: set "
             "the wrong one",
             name, when(b->created, at), when(now, clock));
    return ERR_CONFIG;
}

/* The secret part of an encrypted bundle: a new object. */
static enum err open_sealed(const char *name, json_t *json, const char *passphrase, json_t **body, char *why)
{
    char *sealed = strdup(bundle_string(json, "sealed")), *text = NULL;
    enum err e = sealed && json_object_del(json, "sealed") == 0 ? ERR_OK : ERR_MEMORY;
    char *bound = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    if (e == ERR_OK)
        e = !passphrase ? ERR_UNAUTHORIZED
            : !bound    ? ERR_MEMORY
                        : seal_open(passphrase, bound, sealed, &text);
    *body = e == ERR_OK ? bundle_load(text) : NULL;
    if (e == ERR_MALFORMED || (e == ERR_OK && !*body))
        e = damaged(name, why);
    else if (e == ERR_UNAUTHORIZED)
        snprintf(why, SCHEMA_WHY,
                 passphrase ? "%s: this is not its passphrase, or the bundle was damaged on its way"
                            : "%s: encrypted; its passphrase is needed",
                 name);
    else if (e != ERR_OK)
        snprintf(why, SCHEMA_WHY, "%s: %s", name, err_str(e));
    free(sealed);
    free(bound);
    file_wipe(text);
    return e;
}

/* The parts of a bundle that is not encrypted: a reference to json. */
static enum err open_plain(const char *name, json_t *json, json_t **body, char *why)
{
    char check[CHECK], *said = strdup(bundle_string(json, "check"));
    bool same =
        said && json_object_del(json, "check") == 0 && bundle_check(json, check) && strcmp(check, said) == 0;
    free(said);
    if (!same)
        return damaged(name, why);
    *body = json_incref(json);
    return ERR_OK;
}

static enum err take_parts(const char *name, const json_t *body, struct bundle *b, char *why)
{
    b->config = strdup(bundle_string(body, "config"));
    b->secrets = strdup(bundle_string(body, "secrets"));
    b->host_key = strdup(bundle_string(body, "host_key"));
    if (!b->edge || !b->config || !b->secrets || !b->host_key) {
        snprintf(why, SCHEMA_WHY, "%s: out of memory", name);
        return ERR_MEMORY;
    }
    if (*b->edge && *b->config && *b->secrets && strncmp(b->host_key, "-----BEGIN ", 11) == 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s: a part of the bundle is missing; make it anew on core", name);
    return ERR_CONFIG;
}

enum err bundle_decode(const char *name, const char *text, const char *passphrase, time_t now,
                       struct bundle *out, char *why)
{
    struct bundle b = {0};
    json_t *json = bundle_load(text), *body = NULL;
    enum err e = json_is_object(json) ? judge_version(name, json, why) : damaged(name, why);
    if (e == ERR_OK) {
        b.created = (time_t)json_integer_value(json_object_get(json, "created"));
        b.expires = (time_t)json_integer_value(json_object_get(json, "expires"));
        b.protocol = (int)json_integer_value(json_object_get(json, "protocol"));
        text_copy(b.id, sizeof b.id, bundle_string(json, "id"));
        text_copy(b.version, sizeof b.version, bundle_string(json, "version"));
        b.edge = strdup(bundle_string(json, "edge"));
        if (!b.edge)
            e = ERR_MEMORY;
    }
    if (e == ERR_OK)
        e = json_object_get(json, "sealed") ? open_sealed(name, json, passphrase, &body, why)
                                            : open_plain(name, json, &body, why);
    if (e == ERR_OK && config_check_name(b.edge)) /* words about it go to a terminal */
        e = damaged(name, why);
    if (e == ERR_OK) /* once it is sure that it says what core wrote */
        e = judge_time(name, &b, now, why);
    if (e == ERR_OK)
        e = take_parts(name, body, &b, why);
    if (e == ERR_OK)
        *out = b;
    else
        bundle_free(&b);
    json_decref(body);
    json_decref(json);
    return e;
}

void bundle_free(struct bundle *b)
{
    free(b->edge);
    free(b->config);
    file_wipe(b->secrets);
    file_wipe(b->host_key);
    *b = (struct bundle){0};
}
