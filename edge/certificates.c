#include "edge/certificates.h"

#include <dirent.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"

enum { PEM_MAX = CERTIFICATE_PEM_MAX, CANDIDATES_MAX = 4 * TLS_IDENTITIES_MAX };

/* Files ------------------------------------------------------------------------------------------------ */

bool certificate_is_file(const char *name)
{
    size_t n = strlen(name);
    return strcmp(name, BOX_CERT) == 0 ||
           (n > 9 && n < CERTIFICATE_FILE - 1 && strncmp(name, "cert-", 5) == 0 &&
            strcmp(name + n - 4, ".pem") == 0);
}

void certificate_ocsp_file(const char *file, char out[CERTIFICATE_FILE])
{
    snprintf(out, CERTIFICATE_FILE, "%.*s.ocsp", (int)strlen(file) - 4, file);
}

/* A file with a key in it is a secret. */
static enum err read_texts(const struct box *box, const char *file, char **cert, char **key, char *why)
{
    char path[PATH_MAX];
    bool pair = strcmp(file, BOX_CERT) == 0;
    box_file(box, file, path);
    enum err e = pair ? file_read(path, PEM_MAX, cert, NULL, why, SCHEMA_WHY)
                      : file_read_secret(path, PEM_MAX, cert, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK || !pair)
        return e;
    if (!strstr(*cert, "PRIVATE KEY-----"))
        return file_read_secret(box_file(box, BOX_CERT_KEY, path), PEM_MAX, key, NULL, why, SCHEMA_WHY);
    file_wipe(*cert);
    *cert = NULL;
    return file_read_secret(path, PEM_MAX, cert, NULL, why, SCHEMA_WHY);
}

static enum err read_identity(const struct box *box, struct certificate *c, char *why)
{
    char *cert = NULL, *key = NULL, problem[256];
    enum err e = read_texts(box, c->file, &cert, &key, why);
    if (e == ERR_OK) {
        e = tls_identity_read(cert, key ? key : cert, &c->id, problem, sizeof problem);
        if (e != ERR_OK)
            snprintf(why, SCHEMA_WHY, "%s/%s%s: %s", box->dir, c->file, key ? ", " BOX_CERT_KEY : "",
                     problem);
    }
    if (e == ERR_OK && (c->pem = tls_identity_pem(&c->id)) == NULL)
        e = ERR_MEMORY;
    file_wipe(cert);
    file_wipe(key);
    return e;
}

/* A response that cannot be read is none: what is missing shows where it is needed. */
static void read_staple(const struct box *box, struct certificate *c)
{
    char name[CERTIFICATE_FILE], path[PATH_MAX], why[SCHEMA_WHY];
    char *text;
    certificate_ocsp_file(c->file, name);
    box_file(box, name, path);
    if (access(path, F_OK) == 0 &&
        file_read(path, OCSP_RESPONSE_MAX, &text, &c->n_staple, why, sizeof why) == ERR_OK)
        c->staple = (uint8_t *)text;
}

size_t certificates_hosts(const json_t *hosts, const char *out[CONFIG_DOMAINS_MAX])
{
    size_t n = json_array_size(hosts);
    if (n > CONFIG_DOMAINS_MAX)
        n = CONFIG_DOMAINS_MAX;
    for (size_t i = 0; i < n; i++)
        out[i] = json_string_value(json_array_get(hosts, i));
    return n;
}

static enum err look(const json_t *join_hosts, struct certificate *c, int64_t now)
{
    const char *hosts[CONFIG_DOMAINS_MAX];
    struct cert info;
    const struct cert_question question = {.hosts = hosts,
                                           .n_hosts = certificates_hosts(join_hosts, hosts),
                                           .now = now,
                                           .staple = c->staple,
                                           .n_staple = c->n_staple};
    enum err e = cert_look(&c->id, &question, &info);
    if (e != ERR_OK)
        return e;
    cert_free(&c->info);
    c->info = info;
    return ERR_OK;
}

static void certificate_free(struct certificate *c)
{
    file_wipe(c->pem);
    free(c->staple);
    tls_identity_free(&c->id);
    cert_free(&c->info);
}

static enum err certificate_read(const struct box *box, const json_t *hosts, const char *file, int64_t now,
                                 struct certificate *out, char *why)
{
    struct certificate c = {0};
    snprintf(why, SCHEMA_WHY, "out of memory");
    snprintf(c.file, sizeof c.file, "%s", file);
    enum err e = read_identity(box, &c, why);
    if (e == ERR_OK) {
        read_staple(box, &c);
        e = look(hosts, &c, now);
    }
    if (e != ERR_OK) {
        certificate_free(&c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

static enum err certificate_copy(const json_t *hosts, const struct certificate *from, int64_t now,
                                 struct certificate *out)
{
    char why[256];
    struct certificate c = {.pem = strdup(from->pem)};
    memcpy(c.file, from->file, sizeof c.file);
    enum err e = c.pem ? tls_identity_read(c.pem, c.pem, &c.id, why, sizeof why) : ERR_MEMORY;
    if (e == ERR_OK && from->staple && (c.staple = malloc(from->n_staple)) != NULL) {
        c.n_staple = from->n_staple;
        memcpy(c.staple, from->staple, c.n_staple);
    }
    if (e == ERR_OK)
        e = look(hosts, &c, now);
    if (e != ERR_OK) {
        certificate_free(&c);
        return e;
    }
    *out = c;
    return ERR_OK;
}

/* All of them ------------------------------------------------------------------------------------------ */

static json_t *alarm_of(const char *of, const struct cert_alarm *alarm)
{
    json_t *json = cert_alarm_json(alarm);
    json_object_set_new(json, "of", json_string(of));
    return json;
}

static void refuse(struct certificates *c, const char *file, const char *why)
{
    struct cert_alarm alarm = cert_alarm_refused(why);
    json_array_append_new(c->refused, alarm_of(file, &alarm));
}

/* The file as it is now, or what goes on in its place. */
static enum err take(const struct box *box, const json_t *hosts, const char *file, int64_t now,
                     const struct certificates *before, struct certificates *c)
{
    char why[SCHEMA_WHY];
    const struct certificate *old = before ? certificates_named(before, file) : NULL;
    struct certificate *fresh = &c->all[c->n];
    enum err e = certificate_read(box, hosts, file, now, fresh, why);
    if (e == ERR_OK && old && now >= fresh->info.until && cert_in_time(&old->info, now)) {
        snprintf(why, sizeof why, "%s/%s: %s", box->dir, file, fresh->info.alarms[0].reason);
        certificate_free(fresh);
        e = ERR_REFUSED;
    }
    if (e == ERR_OK) {
        c->n++;
        return ERR_OK;
    }
    if (e == ERR_MEMORY)
        return e;
    refuse(c, file, why);
    e = old ? certificate_copy(hosts, old, now, fresh) : ERR_OK;
    c->n += old && e == ERR_OK;
    return e;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_preference(const void *a, const void *b)
{
    const struct certificate *x = a, *y = b;
    bool x_expired = x->info.n_alarms && x->info.alarms[0].kind <= CERT_ALARM_not_yet_valid,
         y_expired = y->info.n_alarms && y->info.alarms[0].kind <= CERT_ALARM_not_yet_valid;
    if (x_expired != y_expired)
        return x_expired ? 1 : -1;
    if (x->info.from != y->info.from)
        return x->info.from > y->info.from ? -1 : 1;
    return strcmp(x->file, y->file);
}

/* The names of the files, sorted; at most CANDIDATES_MAX. */
static size_t list_files(const struct box *box, char *names[CANDIDATES_MAX])
{
    size_t n = 0;
    struct dirent *entry;
    DIR *d = opendir(box->dir);
    while (d && n < CANDIDATES_MAX && (entry = readdir(d)) != NULL)
        if (certificate_is_file(entry->d_name) && (names[n] = strdup(entry->d_name)) != NULL)
            n++;
    if (d)
        closedir(d);
    qsort(names, n, sizeof names[0], by_text);
    return n;
}

enum err certificates_load(const struct box *box, const json_t *hosts, int64_t now,
                           const struct certificates *before, struct certificates *out)
{
    char *names[CANDIDATES_MAX];
    struct certificates c = {.all = calloc(TLS_IDENTITIES_MAX, sizeof *c.all), .refused = json_array()};
    size_t n = list_files(box, names);
    enum err e = c.all && c.refused ? ERR_OK : ERR_MEMORY;
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        if (c.n < TLS_IDENTITIES_MAX)
            e = take(box, hosts, names[i], now, before, &c);
        else
            refuse(&c, names[i], "there are 64 certificates already; remove those that are not used");
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    if (e != ERR_OK) {
        certificates_free(&c);
        return e;
    }
    qsort(c.all, c.n, sizeof c.all[0], by_preference);
    *out = c;
    return ERR_OK;
}

void certificates_free(struct certificates *c)
{
    while (c->n > 0)
        certificate_free(&c->all[--c->n]);
    free(c->all);
    json_decref(c->refused);
    *c = (struct certificates){0};
}

void certificates_look_again(struct certificates *c, const json_t *hosts, int64_t now)
{
    for (size_t i = 0; i < c->n; i++)
        (void)look(hosts, &c->all[i], now); /* without memory: as it was */
    qsort(c->all, c->n, sizeof c->all[0], by_preference);
}

static bool same_staple(const struct certificate *a, const struct certificate *b)
{
    return a->info.ocsp.state == b->info.ocsp.state && a->n_staple == b->n_staple &&
           (a->n_staple == 0 || memcmp(a->staple, b->staple, a->n_staple) == 0);
}

bool certificates_same(const struct certificates *a, const struct certificates *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = strcmp(a->all[i].pem, b->all[i].pem) == 0 && same_staple(&a->all[i], &b->all[i]);
    return same;
}

const struct certificate *certificates_find(const struct certificates *c, const char *host)
{
    for (size_t i = 0; i < c->n; i++)
        if (tls_identity_covers(&c->all[i].id, host))
            return &c->all[i];
    return NULL;
}

const struct certificate *certificates_named(const struct certificates *c, const char *file)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->all[i].file, file) == 0)
            return &c->all[i];
    return NULL;
}

/* Told to others --------------------------------------------------------------------------------------- */

static json_t *identity_json(const struct certificate *c)
{
    json_t *json = json_pack("{ss}", "pem", c->pem);
    size_t size = 2 * c->n_staple + 1, n;
    char *hex = c->info.ocsp.state == OCSP_good ? malloc(size) : NULL;
    if (hex && OPENSSL_buf2hexstr_ex(hex, size, &n, c->staple, c->n_staple, '\0') == 1) {
        json_object_set_new(json, "staple", json_string(hex));
        json_object_set_new(json, "staple_until", json_integer((json_int_t)c->info.ocsp.until));
    }
    free(hex);
    return json;
}

json_t *certificates_json(const struct certificates *c, const char *host)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(list, identity_json(&c->all[i]));
    return json_pack("{ss so}", "host", host, "identities", list);
}

json_t *certificates_status(const struct certificates *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->n; i++) {
        json_t *one = cert_json(&c->all[i].info);
        json_object_set_new(one, "file", json_string(c->all[i].file));
        json_array_append_new(list, one);
    }
    return list;
}

json_t *certificates_alarms(const struct certificates *c, const json_t *join_hosts)
{
    const char *hosts[CONFIG_DOMAINS_MAX];
    size_t n = certificates_hosts(join_hosts, hosts);
    json_t *list = json_copy(c->refused);
    for (size_t i = 0; i < n; i++) {
        struct cert_alarm missing = cert_alarm_host_missing(hosts[i]);
        if (!certificates_find(c, hosts[i]))
            json_array_append_new(list, alarm_of(hosts[i], &missing));
    }
    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->all[i].info.n_alarms; k++)
            json_array_append_new(list, alarm_of(c->all[i].file, &c->all[i].info.alarms[k]));
    return list;
}
