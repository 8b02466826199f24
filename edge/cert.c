/* `stile-edge cert`: the certificates that guests see, looked at, ordered, replaced. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/print_json.h"
#include "common/verb.h"
#include "edge/edge.h"
#include "proto/policy.h"

enum {
    NAMES_MAX = 32,
    REQUEST_NAMES_MAX = CONFIG_DOMAINS_MAX + 2 * NAMES_MAX,
    HOSTS_PATIENCE_MS = 2000,
};

static const char help[] =
    "usage: stile-edge cert show [--json]\n"
    "       stile-edge cert csr [HOST...] [--name NAME]... [--keep-key] [--json]\n"
    "       stile-edge cert install CERT [--key FILE] [--ocsp FILE] [--force] [--json]\n"
    "\n"
    "The certificates that guests see: each is shown to those who ask for a name that is in it.\n"
    "\n"
    "  show     whom they name, until when, and what is wrong with them; status 1 when something is\n"
    "  csr      prints a signing request for these hosts, without any for all join hosts. Its new key waits "
    "in\n"
    "           next_key.pem; what is in use stays until the certificate is installed\n"
    "  install  puts a certificate in place, its chain behind it (PEM; - for standard input), with the key "
    "of FILE, of\n"
    "           the last request, or in use, whichever fits. It replaces those whose names are all in it, of "
    "the\n"
    "           same kind of key; others stay, and valid ones when it is not. A running edge takes it at\n"
    "           once; connections go on\n"
    "\n"
    "  --name NAME  a further host name or address for the request; may be given again\n"
    "  --keep-key   the request is for the key in use for the first host\n"
    "  --key FILE   the certificate's key (PEM, without passphrase)\n"
    "  --ocsp FILE  the authority's OCSP response (DER), to be stapled\n"
    "  --force      install it though it is expired, or names no join host\n"
    "  --dir DIR    the box's folder (default /etc/stile)\n"
    "  --user USER  as root: who owns the files (default stile)\n"
    "  --json       for programs\n";

struct cert_command {
    const char *dir, *user, *key_file, *ocsp_file;
    const char *names[NAMES_MAX];
    size_t n_names;
    bool json, keep_key, force;
    struct box box;
    struct certificates set;
    json_t *hosts; /* the join hosts */
    char why[SCHEMA_WHY];
};

/* show ------------------------------------------------------------------------------------------------- */

static const char *date_print(int64_t when, char out[64])
{
    time_t t = (time_t)when;
    struct tm tm;
    if (!localtime_r(&t, &tm) || strftime(out, 64, "%Y-%m-%d %H:%M", &tm) == 0)
        snprintf(out, 64, "%lld", (long long)when);
    return out;
}

static void print_names(const json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach ((json_t *)(uintptr_t)names, i, name)
        printf("%s%s", i ? ", " : "", json_string_value(name));
}

static void print_ocsp(const struct cert *c)
{
    char until[64];
    printf("OCSP         %s%s%s", ocsp_state_words(c->ocsp.state), *c->ocsp.why ? ": " : "", c->ocsp.why);
    if (c->ocsp.state == OCSP_good)
        printf(" until %s", date_print(c->ocsp.until, until));
    printf("%s\n", c->must_staple ? " (the certificate demands one: must-staple)" : "");
}

static void certificate_print(const struct certificate *certificate)
{
    const struct cert *c = &certificate->info;
    char from[64], until[64];
    printf("%s\n  Subject      %s\n  Issuer       %s%s\n  Names        ", certificate->file, c->subject,
           c->issuer, c->self_signed ? " (self-signed)" : "");
    print_names(c->names);
    printf("\n  Join hosts   ");
    print_names(c->hosts);
    printf("%s\n  Valid        %s to %s (%lld days left)\n", json_array_size(c->hosts) ? "" : "none of them",
           date_print(c->from, from), date_print(c->until, until),
           (long long)((c->until - time(NULL)) / 86400));
    printf("  Key          %s\n  Chain        %zu behind it\n  Fingerprint  %s (SHA-256)\n  ", c->key,
           c->chain, c->fingerprint);
    print_ocsp(c);
}

static void print_alarms(const json_t *alarms)
{
    size_t i;
    json_t *alarm;
    json_array_foreach ((json_t *)(uintptr_t)alarms, i, alarm)
        printf("Problem      %s (%s): %s\n", json_string_value(json_object_get(alarm, "of")),
               json_string_value(json_object_get(alarm, "severity")),
               json_string_value(json_object_get(alarm, "reason")));
    if (json_array_size(alarms) == 0)
        printf("State        in order\n");
}

static enum err cert_show(struct cert_command *c, bool *in_order)
{
    json_t *alarms = certificates_alarms(&c->set, c->hosts);
    *in_order = json_array_size(alarms) == 0;
    if (c->json) {
        json_t *json = json_pack("{so sO}", "certificates", certificates_status(&c->set), "alarms", alarms);
        print_json(json);
        json_decref(json);
    } else {
        for (size_t i = 0; i < c->set.n; i++)
            certificate_print(&c->set.all[i]);
        print_alarms(alarms);
    }
    json_decref(alarms);
    return ERR_OK;
}

/* csr -------------------------------------------------------------------------------------------------- */

/* The hosts that were named, or all join hosts; and further names. */
static size_t request_names(struct cert_command *c, char **hosts, int n_hosts,
                            const char *names[REQUEST_NAMES_MAX])
{
    size_t n = 0;
    if (n_hosts == 0)
        n = certificates_hosts(c->hosts, names);
    for (int i = 0; i < n_hosts && n < NAMES_MAX; i++)
        names[n++] = hosts[i];
    memcpy(names + n, c->names, c->n_names * sizeof names[0]);
    return n + c->n_names;
}

static const char *key_in_use(struct cert_command *c, const char *host)
{
    const struct certificate *used = certificates_find(&c->set, host);
    if (!used && c->set.n > 0)
        used = &c->set.all[0];
    return used ? used->pem : NULL;
}

static enum err cert_csr(struct cert_command *c, char **hosts, int n_hosts)
{
    const char *names[REQUEST_NAMES_MAX], *key;
    char *made = NULL, *request = NULL;
    size_t n = request_names(c, hosts, n_hosts, names);
    key = c->keep_key ? key_in_use(c, names[0]) : NULL;
    if (c->keep_key && !key) {
        snprintf(c->why, sizeof c->why, "no key is in use yet; without --keep-key a new one is made");
        return ERR_NOT_FOUND;
    }
    enum err e = cert_request(names, n, key, &request, &made, c->why, sizeof c->why);
    if (e == ERR_OK && made)
        e = box_write(&c->box, BOX_NEXT_KEY, made, strlen(made), 0600, c->user, c->why);
    if (e == ERR_OK && c->json) {
        json_t *json = json_pack("{ss ss*}", "request", request, "key", made ? BOX_NEXT_KEY : NULL);
        print_json(json);
        json_decref(json);
    } else if (e == ERR_OK) {
        fputs(request, stdout);
        fprintf(
            stderr,
            "Have this signed, then: stile-edge cert install CERT (the certificate, its chain behind it)\n");
    }
    free(request);
    file_wipe(made);
    return e;
}

/* install ---------------------------------------------------------------------------------------------- */

/* What is to be installed, and with whose key. */
struct install {
    const char *file, *key_from;
    char *cert, *ocsp;
    size_t n_ocsp;
    struct tls_identity id;
    struct cert info;
    char name[CERTIFICATE_FILE];
    int64_t now;              /* UNIX time */
    json_t *replaced, *stays; /* files of others; for programs alone, else NULL */
};

static void install_free(struct install *in)
{
    json_decref(in->replaced);
    json_decref(in->stays);
    free(in->cert);
    free(in->ocsp);
    tls_identity_free(&in->id);
    cert_free(&in->info);
}

static bool key_fits(struct install *in, const char *key_pem, const char *from)
{
    char words[256];
    in->key_from = from;
    return tls_identity_read(in->cert, key_pem, &in->id, words, sizeof words) == ERR_OK;
}

/* The key that fits, of the last request or in use. */
static enum err key_find(struct cert_command *c, struct install *in)
{
    char path[PATH_MAX], *next, why[SCHEMA_WHY];
    box_file(&c->box, BOX_NEXT_KEY, path);
    if (file_read_secret(path, CERTIFICATE_PEM_MAX, &next, NULL, why, sizeof why) == ERR_OK) {
        bool fits = key_fits(in, next, BOX_NEXT_KEY);
        file_wipe(next);
        if (fits)
            return ERR_OK;
    }
    for (size_t i = 0; i < c->set.n; i++)
        if (key_fits(in, c->set.all[i].pem, c->set.all[i].file))
            return ERR_OK;
    snprintf(c->why, sizeof c->why,
             "the certificate fits neither the key of a request (%s) nor one in use; give its own with --key",
             BOX_NEXT_KEY);
    return ERR_NOT_FOUND;
}

static enum err key_given(struct cert_command *c, struct install *in)
{
    char *key, words[256];
    enum err e = file_read(c->key_file, CERTIFICATE_PEM_MAX, &key, NULL, c->why, sizeof c->why);
    if (e != ERR_OK)
        return e;
    in->key_from = c->key_file;
    e = tls_identity_read(in->cert, key, &in->id, words, sizeof words);
    if (e != ERR_OK)
        snprintf(c->why, sizeof c->why, "%s: %s", in->file, words);
    file_wipe(key);
    return e;
}

static enum err install_read(struct cert_command *c, struct install *in)
{
    struct tls_identity readable;
    char words[256];
    enum err e = file_read_any(strcmp(in->file, "-") == 0 ? "/dev/stdin" : in->file, CERTIFICATE_PEM_MAX,
                               &in->cert, NULL, c->why, sizeof c->why);
    if (e == ERR_OK && c->ocsp_file)
        e = file_read(c->ocsp_file, OCSP_RESPONSE_MAX, &in->ocsp, &in->n_ocsp, c->why, sizeof c->why);
    if (e != ERR_OK)
        return e;
    e = tls_identity_read(in->cert, NULL, &readable, words, sizeof words);
    if (e != ERR_OK) {
        snprintf(c->why, sizeof c->why, "%s: %s", in->file, words);
        return e;
    }
    tls_identity_free(&readable);
    return c->key_file ? key_given(c, in) : key_find(c, in);
}

static enum err install_judge(struct cert_command *c, struct install *in)
{
    const char *hosts[CONFIG_DOMAINS_MAX];
    const struct cert_question question = {.hosts = hosts,
                                           .n_hosts = certificates_hosts(c->hosts, hosts),
                                           .now = in->now,
                                           .staple = (const uint8_t *)in->ocsp,
                                           .n_staple = in->n_ocsp};
    enum err e = cert_look(&in->id, &question, &in->info);
    const struct cert *info = &in->info;
    if (e != ERR_OK)
        return e;
    bool in_time = cert_in_time(info, in->now);
    struct cert_alarm missing = cert_alarm_host_missing(hosts[0]);
    const char *reason = !in_time                                    ? info->alarms[0].reason
                         : json_array_size(info->hosts) == 0         ? missing.reason
                         : in->ocsp && info->ocsp.state != OCSP_good ? info->ocsp.why
                                                                     : NULL;
    if (reason && !c->force) {
        snprintf(c->why, sizeof c->why, "%s: %s; --force installs it all the same", in->file, reason);
        return ERR_REFUSED;
    }
    for (size_t i = 0; i < info->n_alarms; i++)
        fprintf(stderr, "stile-edge cert install: warning: %s: %s\n", in->file, info->alarms[i].reason);
    return ERR_OK;
}

static bool names_have(const json_t *names, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach ((json_t *)(uintptr_t)names, i, one)
        if (strcasecmp(json_string_value(one), name) == 0)
            return true;
    return false;
}

/* True when all names of the old one are in the new one. */
static bool covered(const struct install *in, const struct certificate *old)
{
    size_t i;
    json_t *name;
    if (EVP_PKEY_get_base_id(in->id.key) != EVP_PKEY_get_base_id(old->id.key))
        return false;
    json_array_foreach (old->info.names, i, name)
        if (!names_have(in->info.names, json_string_value(name)) &&
            !tls_identity_covers(&in->id, json_string_value(name)))
            return false;
    return true;
}

/* True when nobody would be shown the old one any more: one that is valid goes before one that is not. */
static bool superseded(const struct install *in, const struct certificate *old)
{
    return covered(in, old) && (cert_in_time(&in->info, in->now) || !cert_in_time(&old->info, in->now));
}

/* cert-HOST.pem, cert-HOST-rsa.pem; with a number where a certificate has that name that must stay. */
static void install_name(const struct cert_command *c, struct install *in)
{
    const json_t *names = json_array_size(in->info.hosts) ? in->info.hosts : in->info.names;
    const char *first = json_string_value(json_array_get(names, 0)),
               *kind = EVP_PKEY_is_a(in->id.key, "EC")    ? ""
                       : EVP_PKEY_is_a(in->id.key, "RSA") ? "-rsa"
                                                          : "-other";
    char host[200];
    snprintf(host, sizeof host, "%s", first ? first : "unnamed");
    for (char *at = host; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.", *at))
            *at = '_';
    for (unsigned i = 1;; i++) {
        char number[16] = "";
        if (i > 1)
            snprintf(number, sizeof number, "-%u", i);
        snprintf(in->name, sizeof in->name, "cert-%s%s%s.pem", host, kind, number);
        const struct certificate *there = certificates_named(&c->set, in->name);
        if (!there || superseded(in, there))
            return;
    }
}

static void remove_file(const struct cert_command *c, const char *file)
{
    char path[PATH_MAX];
    if (unlink(box_file(&c->box, file, path)) < 0 && errno != ENOENT)
        fprintf(stderr, "stile-edge cert install: warning: %s stays: %s\n", path, strerror(errno));
}

/* Tells what became of another certificate: into list where there is one. */
static void install_tell(const struct cert_command *c, json_t *list, const char *file, const char *words)
{
    if (list)
        json_array_append_new(list, json_string(file));
    else
        printf("%s/%s: %s\n", c->box.dir, file, words);
}

/* What nobody is shown any more goes; its key goes last, so that no certificate is ever without one. */
static void remove_superseded(const struct cert_command *c, const struct install *in)
{
    char ocsp[CERTIFICATE_FILE];
    for (size_t i = 0; i < c->set.n; i++) {
        const char *file = c->set.all[i].file;
        if (strcmp(file, in->name) == 0 || !covered(in, &c->set.all[i]))
            continue;
        if (!superseded(in, &c->set.all[i])) {
            install_tell(c, in->stays, file, "stays, as it is valid and the new one is not");
            continue;
        }
        certificate_ocsp_file(file, ocsp);
        remove_file(c, file);
        remove_file(c, ocsp);
        if (strcmp(file, BOX_CERT) == 0)
            remove_file(c, BOX_CERT_KEY);
        install_tell(c, in->replaced, file, "replaced");
    }
}

/* One file with certificate and key, renamed into place: a crash leaves the old or the new, and what is
 * removed later is not preferred to it meanwhile. */
static enum err install_write(struct cert_command *c, struct install *in)
{
    char ocsp[CERTIFICATE_FILE], *pem = tls_identity_pem(&in->id);
    if (!pem)
        return ERR_MEMORY;
    enum err e = box_write(&c->box, in->name, pem, strlen(pem), 0600, c->user, c->why);
    file_wipe(pem);
    if (e != ERR_OK)
        return e;
    certificate_ocsp_file(in->name, ocsp);
    if (in->ocsp)
        e = box_write(&c->box, ocsp, in->ocsp, in->n_ocsp, 0644, c->user, c->why);
    else
        remove_file(c, ocsp); /* another certificate's */
    remove_superseded(c, in);
    if (strcmp(in->key_from, BOX_NEXT_KEY) == 0)
        remove_file(c, BOX_NEXT_KEY);
    return e;
}

static void install_report(const struct cert_command *c, const struct install *in)
{
    json_t *json = c->json ? json_pack("{ss ss sO sO}", "file", in->name, "key_from", in->key_from,
                                       "replaced", in->replaced, "stays", in->stays)
                           : NULL;
    if (c->json)
        print_json(json);
    else
        printf("%s/%s: installed, with the key of %s\n", c->box.dir, in->name, in->key_from);
    json_decref(json);
}

static enum err cert_install(struct cert_command *c, const char *file)
{
    struct install in = {.file = file, .now = time(NULL)};
    if (c->json) {
        in.replaced = json_array();
        in.stays = json_array();
    }
    enum err e = install_read(c, &in);
    if (e == ERR_OK)
        e = install_judge(c, &in);
    if (e == ERR_OK) {
        install_name(c, &in);
        e = install_write(c, &in);
    }
    if (e == ERR_OK)
        install_report(c, &in);
    install_free(&in);
    return e;
}

/* The join hosts ---------------------------------------------------------------------------------------- */

/* Those of the policy in force when the edge runs: core may have brought others than the config has. */
static json_t *hosts_in_force(const struct cert_command *c)
{
    char path[PATH_MAX], why[SCHEMA_WHY];
    json_t *answer = NULL;
    if (local_request(box_run_file(&c->box, BOX_EDGE_SOCKET, path), json_pack("{ss}", "type", "hosts"),
                      HOSTS_PATIENCE_MS, &answer, why) != ERR_OK)
        return NULL;
    json_t *hosts = json_incref(json_object_get(answer, "hosts"));
    json_decref(answer);
    return hosts;
}

static enum err hosts_find(struct cert_command *c)
{
    c->hosts = hosts_in_force(c);
    if (c->hosts)
        return ERR_OK;
    json_t *urls = policy_join_urls(&c->box.config);
    c->hosts = urls ? policy_join_hosts(urls) : NULL;
    json_decref(urls);
    return c->hosts ? ERR_OK : ERR_MEMORY;
}

/* The command ------------------------------------------------------------------------------------------ */

static int cert_do(struct cert_command *c, char **words, int n)
{
    bool show = strcmp(words[0], "show") == 0 && n == 1,
         csr = strcmp(words[0], "csr") == 0 && n <= 1 + NAMES_MAX,
         install = strcmp(words[0], "install") == 0 && n == 2, in_order = true;
    if (!show && !csr && !install)
        return verb_usage("cert");
    umask(077);
    snprintf(c->why, sizeof c->why, "out of memory");
    enum err e = box_open(&c->box, c->dir, NULL, c->why);
    if (e == ERR_OK)
        e = box_load(&c->box, c->why);
    if (e == ERR_OK)
        e = hosts_find(c);
    if (e == ERR_OK)
        e = certificates_load(&c->box, c->hosts, time(NULL), NULL, &c->set);
    if (e == ERR_OK && show)
        e = cert_show(c, &in_order);
    else if (e == ERR_OK && csr)
        e = cert_csr(c, words + 1, n - 1);
    else if (e == ERR_OK)
        e = cert_install(c, words[1]);
    if (e != ERR_OK)
        fprintf(stderr, "stile-edge cert %s: %s\n", words[0], c->why);
    certificates_free(&c->set);
    json_decref(c->hosts);
    return e == ERR_OK && in_order ? EXIT_OK : EXIT_FAILED;
}

static bool name_add(struct cert_command *c, const char *name)
{
    if (c->n_names == NAMES_MAX)
        return false;
    c->names[c->n_names++] = name;
    return true;
}

int edge_cert_command(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},  {"user", required_argument, NULL, 'u'},
        {"key", required_argument, NULL, 'k'},  {"name", required_argument, NULL, 'n'},
        {"ocsp", required_argument, NULL, 's'}, {"keep-key", no_argument, NULL, 'o'},
        {"force", no_argument, NULL, 'f'},      {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    static struct cert_command c = {.dir = BOX_DIR, .user = BOX_USER};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd')
            c.dir = optarg;
        else if (option == 'u')
            c.user = optarg;
        else if (option == 'k')
            c.key_file = optarg;
        else if (option == 's')
            c.ocsp_file = optarg;
        else if (option == 'o')
            c.keep_key = true;
        else if (option == 'f')
            c.force = true;
        else if (option == 'j')
            c.json = true;
        else if (option == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        else if (option != 'n' || !name_add(&c, optarg))
            return verb_usage("cert");
    }
    if (optind >= argc)
        return verb_usage("cert");
    int status = cert_do(&c, argv + optind, argc - optind);
    box_close(&c.box);
    return status;
}
