/* `stile-edge join`: installs a bundle made by core. */
#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/admin/admin_command.h"
#include "common/bundle.h"
#include "common/file.h"
#include "common/password.h"
#include "common/print_json.h"
#include "common/tls.h"
#include "common/tls_identity.h"
#include "common/verb.h"
#include "edge/edge.h"
#include "proto/ctl_msg.h"

enum { BUNDLE_MAX = 64 * 1024 * 1024, PEM_MAX = 1024 * 1024, SELF_SIGNED_DAYS = 365 };

static const char help[] =
    "usage: stile-edge join BUNDLE [--dir DIR] [--cert FILE --key FILE] [--name NAME] [--passphrase-file "
    "FILE]\n"
    "                       [--user NAME] [--force] [--json]\n"
    "\n"
    "Installs the bundle that 'stile-core init' or 'stile-core edge add' made for this edge. It can be used "
    "once: with\n"
    "the first tunnel this box makes a key of its own, and core takes the bundle's no longer.\n"
    "\n"
    "  --dir DIR    where it goes (default /etc/stile); made if missing\n"
    "  --cert FILE  certificate for the join host, its chain behind it (PEM). Without one that of an "
    "earlier\n"
    "               join is kept, or a self-signed one is made, which browsers warn about\n"
    "  --key FILE   its private key (PEM, without passphrase)\n"
    "  --name NAME  refuse a bundle that was made for another edge\n"
    "  --passphrase-file FILE\n"
    "               its first line opens an encrypted bundle; without, it is asked for (or read from "
    "standard input)\n"
    "  --user NAME  owner of the files when run as root (default stile)\n"
    "  --force      replace what an earlier join installed\n"
    "  --json       for programs\n";

struct join {
    char own_cert[PATH_MAX], own_key[PATH_MAX]; /* in dir, from an earlier join */
    const char *bundle_file, *dir, *cert_file, *key_file, *user, *name, *passphrase_file;
    bool force, json;
    struct box box;
    struct bundle bundle;
    struct config config;
    char *cert, *key;
    bool self_signed;
};

/* *out is malloc'd; NULL where the bundle is not encrypted. */
static enum err join_passphrase(const struct join *j, const char *text, char **out, char *why)
{
    char typed[1024];
    *out = NULL;
    if (!bundle_is_encrypted(text) && j->passphrase_file) {
        snprintf(why, SCHEMA_WHY,
                 "%s: is not encrypted, though a passphrase was given: is it the bundle that core made?",
                 j->bundle_file);
        return ERR_REFUSED;
    }
    if (!bundle_is_encrypted(text))
        return ERR_OK;
    enum err e = j->passphrase_file
                     ? password_read_file(j->passphrase_file, typed, sizeof typed, why, SCHEMA_WHY)
                     : passphrase_read(j->bundle_file, false, typed, sizeof typed, why, SCHEMA_WHY);
    if (e == ERR_OK)
        *out = strdup(typed);
    OPENSSL_cleanse(typed, sizeof typed);
    return e == ERR_OK && !*out ? ERR_MEMORY : e;
}

/* Which edge, and which release of core: one apart is right. */
static enum err join_judge(const struct join *j, char *why)
{
    struct ctl_channel channel = {0};
    char words[CTL_PROTOCOL_WORDS];
    const struct bundle *b = &j->bundle;
    json_t *protocol = json_integer(b->protocol);
    bool fits = ctl_channel_agree(&channel, protocol, "edge", "core", b->version, words);
    json_decref(protocol);
    if (!fits) {
        snprintf(why, SCHEMA_WHY, "%s: %s", j->bundle_file, words);
        return ERR_UNSUPPORTED;
    }
    if (!j->name || strcasecmp(j->name, b->edge) == 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s: made for edge \"%s\", not for \"%s\"; take that one's bundle",
             j->bundle_file, b->edge, j->name);
    return ERR_CONFIG;
}

static enum err join_open_bundle(struct join *j, char *why)
{
    char *text, *passphrase = NULL;
    enum err e = file_read_any(j->bundle_file, BUNDLE_MAX, &text, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = join_passphrase(j, text, &passphrase, why);
    if (e == ERR_OK)
        e = bundle_decode(j->bundle_file, text, passphrase, time(NULL), &j->bundle, why);
    file_wipe(text);
    file_wipe(passphrase);
    return e == ERR_OK ? join_judge(j, why) : e;
}

static enum err join_read_bundle(struct join *j, char *why)
{
    struct secrets judged;
    enum err e = join_open_bundle(j, why);
    if (e == ERR_OK)
        e = config_parse("stile.json in the bundle", j->bundle.config, &j->config, why);
    if (e == ERR_OK)
        e = secrets_parse("secrets.json in the bundle", j->bundle.secrets, &judged, why);
    if (e != ERR_OK)
        return e;
    secrets_free(&judged);
    if (config_edge_find(&j->config, j->bundle.edge))
        return ERR_OK;
    snprintf(why, SCHEMA_WHY,
             "%s: made for edge \"%s\", which its config does not have; make it anew on core", j->bundle_file,
             j->bundle.edge);
    return ERR_CONFIG;
}

static enum err join_certificate(struct join *j, char *why)
{
    const char *hosts[CONFIG_DOMAINS_MAX];
    char problem[256];
    struct tls_identity id;
    enum err e;
    if (!j->cert_file && access(box_file(&j->box, BOX_CERT, j->own_cert), F_OK) == 0 &&
        access(box_file(&j->box, BOX_CERT_KEY, j->own_key), F_OK) == 0) {
        j->cert_file = j->own_cert; /* a bundle has none, so a new bundle is no reason for a new one */
        j->key_file = j->own_key;
    }
    if (!j->cert_file) {
        j->self_signed = true;
        e = tls_self_signed(j->config.join_host, SELF_SIGNED_DAYS, &j->cert, &j->key);
        if (e != ERR_OK)
            snprintf(why, SCHEMA_WHY, "self-signed certificate: %s", err_str(e));
        return e;
    }
    e = file_read_any(j->cert_file, PEM_MAX, &j->cert, NULL, why, SCHEMA_WHY);
    if (e == ERR_OK)
        e = file_read_any(j->key_file, PEM_MAX, &j->key, NULL, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    e = tls_identity_read(j->cert, j->key, &id, problem, sizeof problem);
    if (e != ERR_OK) {
        snprintf(why, SCHEMA_WHY, "%s, %s: %s", j->cert_file, j->key_file, problem);
        return e;
    }
    size_t n = config_join_hosts(&j->config, hosts);
    for (size_t i = 0; i < n; i++)
        if (!tls_identity_covers(&id, hosts[i]))
            fprintf(
                stderr,
                "stile-edge join: warning: the certificate does not name %s; browsers will refuse it there\n",
                hosts[i]);
    tls_identity_free(&id);
    return ERR_OK;
}

static enum err join_write(struct join *j, char *why)
{
    const struct {
        const char *name, *text;
        mode_t mode;
    } files[] = {{BOX_HOST_KEY, j->bundle.host_key, 0600},
                 {BOX_SECRETS, j->bundle.secrets, 0600},
                 {BOX_CERT, j->cert, 0644},
                 {BOX_CERT_KEY, j->key, 0600},
                 {BOX_IDENTITY, j->bundle.edge, 0644},
                 {BOX_CONFIG, j->bundle.config, 0644}};
    char path[PATH_MAX];
    enum err e = ERR_OK;
    /* What an earlier pairing had learned and begun. */
    unlink(box_file(&j->box, BOX_KEYS, path));
    unlink(box_file(&j->box, BOX_NEXT_HOST_KEY, path));
    for (size_t i = 0; i < sizeof files / sizeof files[0] && e == ERR_OK; i++)
        e = box_write(&j->box, files[i].name, files[i].text, strlen(files[i].text), files[i].mode, j->user,
                      why);
    return e;
}

static enum err join_prepare_dir(struct join *j, char *why)
{
    char path[PATH_MAX];
    enum err e = box_make_dir(&j->box, j->dir, j->user, why);
    if (e != ERR_OK)
        return e;
    if (access(box_file(&j->box, BOX_CORE_KEY, path), F_OK) == 0) {
        snprintf(why, SCHEMA_WHY,
                 "%s exists: this is a core's folder. Join on the edge, the box in the DMZ (or name another "
                 "--dir)",
                 path);
        return ERR_EXISTS;
    }
    if (j->force || access(box_file(&j->box, BOX_CONFIG, path), F_OK) < 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s exists: this box has joined already; --force replaces it", path);
    return ERR_EXISTS;
}

static int join_options(struct join *j, int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},  {"cert", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},  {"user", required_argument, NULL, 'u'},
        {"name", required_argument, NULL, 'n'}, {"passphrase-file", required_argument, NULL, 'p'},
        {"force", no_argument, NULL, 'f'},      {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd')
            j->dir = optarg;
        else if (option == 'c')
            j->cert_file = optarg;
        else if (option == 'k')
            j->key_file = optarg;
        else if (option == 'u')
            j->user = optarg;
        else if (option == 'n')
            j->name = optarg;
        else if (option == 'p')
            j->passphrase_file = optarg;
        else if (option == 'f')
            j->force = true;
        else if (option == 'j')
            j->json = true;
        else if (option == 'h')
            exit(fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK);
        else
            return verb_usage("join");
    }
    if (argc - optind != 1) {
        fprintf(stderr, "stile-edge join: which bundle? One file, made by 'stile-core init'\n");
        return verb_usage("join");
    }
    if (!j->cert_file != !j->key_file) {
        fprintf(stderr, "stile-edge join: --cert and --key go together\n");
        return verb_usage("join");
    }
    j->bundle_file = argv[optind];
    return EXIT_OK;
}

static void join_report(const struct join *j)
{
    printf("%s: joined as edge %s, for %s\n", j->box.dir, j->bundle.edge, j->config.join_url);
    printf("Delete the bundle. ");
    if (strcmp(j->box.dir, BOX_DIR) == 0)
        printf("The service stile-edge starts by itself; by hand it is: stile-edge run\n");
    else
        printf("Then start the edge: stile-edge run --dir %s\n", j->box.dir);
}

/* admin: NULL where none could be set up. */
static void join_report_json(const struct join *j, const struct admin_first *admin)
{
    json_t *report =
        json_pack("{so ss ss sI sb so*}", "dir", print_json_text(j->box.dir), "edge", j->bundle.edge,
                  "join_url", j->config.join_url, "revision", (json_int_t)j->config.revision, "self_signed",
                  j->self_signed, "admin", admin ? admin_first_json(admin) : NULL);
    print_json(report);
    json_decref(report);
}

/* It has joined, with or without somebody who may look at the admin page. */
static void join_finish(const struct join *j)
{
    char why[SCHEMA_WHY];
    struct admin_first admin = {0};
    const struct config_edge *self = config_edge_find(&j->config, j->bundle.edge);
    bool made =
        admin_first_user(&j->box, j->user, ADMIN_EDGE, self->admin.port, j->cert, &admin, why) == ERR_OK;
    if (j->json)
        join_report_json(j, made ? &admin : NULL);
    else
        join_report(j);
    if (made && !j->json)
        admin_first_print(&admin);
    if (!made)
        fprintf(stderr, "stile-edge join: warning: %s\n", why);
    if (j->self_signed)
        fprintf(stderr,
                "stile-edge join: warning: made a self-signed certificate for %s; guests' browsers will "
                "warn until a\n"
                "real one is in its place: %s/" BOX_CERT " and " BOX_CERT_KEY "\n",
                j->config.join_host, j->box.dir);
    OPENSSL_cleanse(&admin, sizeof admin);
}

int edge_join_command(int argc, char **argv)
{
    struct join j = {.dir = BOX_DIR, .user = BOX_USER};
    char why[SCHEMA_WHY] = "out of memory";
    int status = join_options(&j, argc, argv);
    if (status != EXIT_OK)
        return status;
    umask(077);
    enum err e = join_read_bundle(&j, why);
    if (e == ERR_OK)
        e = join_prepare_dir(&j, why);
    if (e == ERR_OK)
        e = join_certificate(&j, why);
    if (e == ERR_OK)
        e = join_write(&j, why);
    if (e == ERR_OK)
        join_finish(&j);
    else
        fprintf(stderr, "stile-edge join: %s\n", why);
    bundle_free(&j.bundle);
    config_free(&j.config);
    free(j.cert);
    file_wipe(j.key);
    return e == ERR_OK ? EXIT_OK : EXIT_FAILED;
}
