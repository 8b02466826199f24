#include "common/tls_choice.h"

#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 253, NAMES_MAX = 4096 };

/* Which identities go together into one context: a bit for each. */
typedef uint64_t identity_set;
_Static_assert(TLS_IDENTITIES_MAX <= 64, "a bit for each");

struct choice_name {
    char *name;   /* in lower case; "*.…" for any label in front (RFC 6125 §6.4.3) */
    SSL_CTX *ctx; /* NULL: the front's own */
};

/* Belongs to the front, the context that connections begin with: lives as long as one of them. */
struct tls_choice {
    struct choice_name *names; /* sorted */
    size_t n;
};

/* Choosing --------------------------------------------------------------------------------------------- */

static int name_compare(const void *a, const void *b)
{
    return strcmp(((const struct choice_name *)a)->name, ((const struct choice_name *)b)->name);
}

static const struct choice_name *name_find(const struct tls_choice *c, char *name)
{
    const struct choice_name key = {.name = name};
    return bsearch(&key, c->names, c->n, sizeof *c->names, name_compare);
}

static const struct choice_name *choice_find(const struct tls_choice *c, const char *asked)
{
    char name[NAME_MAX_BYTES + 2];
    size_t n = strlen(asked), first;
    if (n > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i <= n; i++)
        name[i] = (char)(asked[i] >= 'A' && asked[i] <= 'Z' ? asked[i] + 32 : asked[i]);
    const struct choice_name *found = name_find(c, name);
    first = strcspn(name, ".");
    if (found || first == 0 || name[first] == '\0')
        return found;
    name[first - 1] = '*';
    return name_find(c, name + first - 1);
}

/* Answering OK also for a name that nobody has keeps it in the session: whoever resumes that is held to it.
 */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct choice_name *found = asked ? choice_find(arg, asked) : NULL;
    if (found && found->ctx && !SSL_set_SSL_CTX(ssl, found->ctx)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return asked ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* Preparing -------------------------------------------------------------------------------------------- */

static void choice_free(struct tls_choice *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->names[i].name);
        SSL_CTX_free(c->names[i].ctx);
    }
    free(c->names);
    free(c);
}

static int choice_index = -1;
static pthread_once_t choice_once = PTHREAD_ONCE_INIT;

static void choice_gone(void *parent, void *choice, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    choice_free(choice);
}

static void choice_init(void)
{
    choice_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, choice_gone);
}

/* The set as it grows: an identity beside those that have another kind of key. */
static identity_set set_add(identity_set set, const struct tls_identity *ids, size_t i)
{
    int kind = EVP_PKEY_get_base_id(ids[i].key);
    for (size_t k = 0; k < i; k++)
        if (set >> k & 1 && EVP_PKEY_get_base_id(ids[k].key) == kind)
            return set;
    return set | (identity_set)1 << i;
}

/* What a name of a certificate asks for: a wildcard asks for its like, any other name for all that cover it.
 */
static bool covers(const struct tls_identity *id, const char *name)
{
    GENERAL_NAMES *all;
    bool found = false;
    if (*name != '*')
        return tls_identity_covers(id, name);
    all = X509_get_ext_d2i(id->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && !found; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        found = g->type == GEN_DNS && (size_t)ASN1_STRING_length(g->d.dNSName) == strlen(name) &&
                strncasecmp((const char *)ASN1_STRING_get0_data(g->d.dNSName), name, strlen(name)) == 0;
    }
    GENERAL_NAMES_free(all);
    return found;
}

static identity_set set_for(const struct tls_identity *ids, size_t n, const char *name)
{
    identity_set set = 0;
    for (size_t i = 0; i < n; i++)
        if (covers(&ids[i], name))
            set = set_add(set, ids, i);
    return set;
}

static enum err set_ctx(const struct tls_server *server, const struct tls_identity *ids, size_t n,
                        identity_set set, SSL_CTX **out, char *why, size_t why_size)
{
    const struct tls_identity *chosen[TLS_IDENTITIES_MAX];
    size_t n_chosen = 0;
    for (size_t i = 0; i < n; i++)
        if (set >> i & 1)
            chosen[n_chosen++] = &ids[i];
    return tls_server_make(server, chosen, n_chosen, out, why, why_size);
}

/* False: memory is out. */
static bool names_add(struct tls_choice *c, const char *name, size_t n)
{
    char *copy;
    if (n == 0 || n > NAME_MAX_BYTES || memchr(name, '\0', n))
        return true; /* no name that anybody can ask for */
    if ((copy = strndup(name, n)) == NULL)
        return false;
    for (char *at = copy; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
    c->names[c->n++] = (struct choice_name){.name = copy};
    return true;
}

/* All host names of all certificates, each once. */
static bool names_collect(struct tls_choice *c, const struct tls_identity *ids, size_t n)
{
    size_t kept = 0;
    bool ok = (c->names = calloc(NAMES_MAX, sizeof *c->names)) != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        GENERAL_NAMES *all = X509_get_ext_d2i(ids[i].leaf, NID_subject_alt_name, NULL, NULL);
        for (int k = 0; k < sk_GENERAL_NAME_num(all) && ok && c->n < NAMES_MAX; k++) {
            const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, k);
            if (g->type == GEN_DNS)
                ok = names_add(c, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
                               (size_t)ASN1_STRING_length(g->d.dNSName));
        }
        GENERAL_NAMES_free(all);
    }
    if (!ok)
        return false;
    qsort(c->names, c->n, sizeof *c->names, name_compare);
    for (size_t i = 0; i < c->n; i++)
        if (kept > 0 && strcmp(c->names[kept - 1].name, c->names[i].name) == 0)
            free(c->names[i].name);
        else
            c->names[kept++] = c->names[i];
    c->n = kept;
    return true;
}

/* A context for each name; names with the same identities share one. */
static enum err choice_fill(struct tls_choice *c, const struct tls_server *server,
                            const struct tls_identity *ids, size_t n, identity_set front, char *why,
                            size_t why_size)
{
    identity_set *sets = calloc(c->n + 1, sizeof *sets);
    enum err e = sets ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < c->n && e == ERR_OK; i++) {
        size_t k = 0;
        sets[i] = set_for(ids, n, c->names[i].name);
        while (k < i && sets[k] != sets[i])
            k++;
        if (sets[i] == 0 || sets[i] == front)
            continue;
        if (k == i)
            e = set_ctx(server, ids, n, sets[i], &c->names[i].ctx, why, why_size);
        else if (SSL_CTX_up_ref(c->names[k].ctx) == 1)
            c->names[i].ctx = c->names[k].ctx;
    }
    free(sets);
    return e;
}

enum err tls_choice_ctx(const struct tls_server *server, const struct tls_identity *ids, size_t n,
                        const char *host, SSL_CTX **out, char *why, size_t why_size)
{
    identity_set front = set_for(ids, n, host);
    SSL_CTX *ctx = NULL;
    struct tls_choice *c = calloc(1, sizeof *c);
    pthread_once(&choice_once, choice_init);
    snprintf(why, why_size, "out of memory");
    enum err e = c && names_collect(c, ids, n) ? ERR_OK : ERR_MEMORY;
    if (!front)
        front = 1;
    if (e == ERR_OK)
        e = choice_fill(c, server, ids, n, front, why, why_size);
    if (e == ERR_OK)
        e = set_ctx(server, ids, n, front, &ctx, why, why_size);
    if (e == ERR_OK && SSL_CTX_set_ex_data(ctx, choice_index, c) != 1)
        e = ERR_MEMORY;
    if (e != ERR_OK) {
        SSL_CTX_free(ctx);
        choice_free(c);
        return e;
    }
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ctx, c);
    *out = ctx;
    return ERR_OK;
}

/* Between processes ------------------------------------------------------------------------------------ */

static enum err identity_from_json(const json_t *json, struct tls_identity *out, char *why, size_t why_size)
{
    const char *pem = json_string_value(json_object_get(json, "pem")),
               *key = json_string_value(json_object_get(json, "key")),
               *hex = json_string_value(json_object_get(json, "staple"));
    long n = 0;
    if (!pem) {
        snprintf(why, why_size, "an identity without its certificate");
        return ERR_CONFIG;
    }
    enum err e = tls_identity_read(pem, key ? key : pem, out, why, why_size);
    if (e != ERR_OK || !hex)
        return e;
    uint8_t *staple = OPENSSL_hexstr2buf(hex, &n);
    if (staple)
        e = tls_identity_staple(out, staple, (size_t)n,
                                json_integer_value(json_object_get(json, "staple_until")));
    OPENSSL_free(staple);
    if (e != ERR_OK) {
        snprintf(why, why_size, "out of memory");
        tls_identity_free(out);
    }
    return e;
}

enum err tls_choice_ctx_json(const struct tls_server *server, const json_t *json, SSL_CTX **out, char *why,
                             size_t why_size)
{
    struct tls_identity ids[TLS_IDENTITIES_MAX];
    const json_t *list = json_object_get(json, "identities");
    const char *host = json_string_value(json_object_get(json, "host"));
    size_t n = 0, wanted = json_array_size(list);
    enum err e = ERR_OK;
    if (wanted == 0 || wanted > TLS_IDENTITIES_MAX || !host) {
        snprintf(why, why_size, "identities and a host are wanted");
        return ERR_CONFIG;
    }
    while (n < wanted && e == ERR_OK) {
        e = identity_from_json(json_array_get(list, n), &ids[n], why, why_size);
        n += e == ERR_OK;
    }
    if (e == ERR_OK)
        e = tls_choice_ctx(server, ids, n, host, out, why, why_size);
    while (n > 0)
        tls_identity_free(&ids[--n]);
    return e;
}
