#include "core/pairing/init.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/admin/admin_command.h"
#include "common/box.h"
#include "common/fatal.h"
#include "common/file.h"
#include "common/password.h"
#include "common/print_json.h"
#include "common/ssh_key.h"
#include "common/verb.h"
#include "core/pairing/edge_spec.h"
#include "core/pairing/edges.h"

enum { INIT_EDGES_MAX = 64 };

/* One --join-url and what was said of its bridges. */
struct init_domain {
    const char *join_url, *bridge_ca;
    json_t *targets;
};

static const char help[] =
    "usage: stile-core init [--dir DIR] --join-url URL... --core NAME --edge EDGE... [OPTION]...\n"
    "\n"
    "Makes the config that core and its edges share (stile.json), core's secrets, and one bundle per edge: "
    "copy\n"
    "each bundle to its edge and run 'stile-edge join' there.\n"
    "\n"
    "  --dir DIR             where it all goes (default /etc/stile); made if missing\n"
    "  --join-url URL        what guests open: https://HOST[:PORT]. May be given again, for a further "
    "domain;\n"
    "                        --bridge and --bridge-ca are for the --join-url that stands before them\n"
    "  --core NAME           the name of this box\n"
    "  --edge " EDGE_SPEC_TEXT "                        May be given again.\n"
    "  --bridge HOST[:PORT]  a web bridge, port 443 by default; may be given again. None: found in DNS\n"
    "  --bridge-ca FILE      CA certificates that the bridges' certificates are signed by (PEM)\n"
    "  --turn-user NAME:PASSWORD\n"
    "                        TURN credentials; PASSWORD may be @FILE. May be given again.\n"
    "                        None: user 'stile' with a random password, which is shown\n"
    "  --allow-peer CIDR     a private network that TURN relays may reach: the call bridges'. May be given "
    "again\n"
    "  --expires TIME        how long the bundles are good: 90m, 24h, 7d (default 7d)\n"
    "  --passphrase-file FILE\n"
    "                        encrypts the bundles with its first line\n"
    "  --user NAME           owner of the files when run as root (default stile)\n"
    "  --force               overwrite an existing config\n"
    "  --json                for programs\n";

struct init {
    const char *dir, *core, *user;
    struct init_domain domains[CONFIG_DOMAINS_MAX];
    size_t n_domains;
    json_t *edges; /* as in stile.json, without host_key */
    json_t *allow_peers, *turn_users;
    bool force, json, password_made;
    struct box box;
    struct ssh_key core_key, edge_keys[INIT_EDGES_MAX];
    char *config_text, *secrets_text;
    struct edges_bundle bundle;
    const char *passphrase_file;
    char passphrase[1024];
};

static int init_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "stile-core init: %s %s\n", what, problem);
    return verb_usage("init");
}

/* Options ----------------------------------------------------------------------------------------------- */

static bool init_add_edge(struct init *in, char *text)
{
    json_t *edge = json_array_size(in->edges) < INIT_EDGES_MAX ? edge_spec_parse(text) : NULL;
    return edge && json_array_append_new(in->edges, edge) == 0;
}

/* What was said before the first --join-url is the first one's, too. */
static struct init_domain *init_domain_now(struct init *in)
{
    return &in->domains[in->n_domains ? in->n_domains - 1 : 0];
}

static bool init_add_domain(struct init *in, const char *url)
{
    if (in->n_domains == CONFIG_DOMAINS_MAX)
        return false;
    in->domains[in->n_domains++].join_url = url;
    return true;
}

static void init_add_bridge(struct init_domain *d, const char *bridge)
{
    if (!d->targets)
        d->targets = json_array();
    json_array_append_new(d->targets, json_string(bridge));
}

/* The password is overwritten where it stood, so that the process list does not show it for long. */
static bool init_add_user(struct init *in, char *text)
{
    char *password = strchr(text, ':'), *from_file = NULL, why[SCHEMA_WHY];
    if (!password || password == text)
        return false;
    *password++ = '\0';
    if (*password == '@') {
        if (file_read_secret_any(password + 1, 4096, &from_file, NULL, why, sizeof why) != ERR_OK) {
            fprintf(stderr, "stile-core init: %s\n", why);
            return false;
        }
        from_file[strcspn(from_file, "\r\n")] = '\0';
    }
    json_array_append_new(in->turn_users,
                          json_pack("{ssss}", "name", text, "password", from_file ? from_file : password));
    OPENSSL_cleanse(password, strlen(password));
    file_wipe(from_file);
    return true;
}

enum {
    OPT_DIR = 1000,
    OPT_JOIN_URL,
    OPT_CORE,
    OPT_EDGE,
    OPT_BRIDGE,
    OPT_BRIDGE_CA,
    OPT_TURN_USER,
    OPT_ALLOW_PEER,
    OPT_USER,
    OPT_FORCE,
    OPT_EXPIRES,
    OPT_PASSPHRASE_FILE,
    OPT_JSON,
    OPT_HELP
};

static const struct option options[] = {{"dir", required_argument, NULL, OPT_DIR},
                                        {"join-url", required_argument, NULL, OPT_JOIN_URL},
                                        {"core", required_argument, NULL, OPT_CORE},
                                        {"edge", required_argument, NULL, OPT_EDGE},
                                        {"bridge", required_argument, NULL, OPT_BRIDGE},
                                        {"bridge-ca", required_argument, NULL, OPT_BRIDGE_CA},
                                        {"turn-user", required_argument, NULL, OPT_TURN_USER},
                                        {"allow-peer", required_argument, NULL, OPT_ALLOW_PEER},
                                        {"user", required_argument, NULL, OPT_USER},
                                        {"force", no_argument, NULL, OPT_FORCE},
                                        {"expires", required_argument, NULL, OPT_EXPIRES},
                                        {"passphrase-file", required_argument, NULL, OPT_PASSPHRASE_FILE},
                                        {"json", no_argument, NULL, OPT_JSON},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {NULL, 0, NULL, 0}};

static int init_option(struct init *in, int option)
{
    switch (option) {
    case OPT_DIR:
        in->dir = optarg;
        return EXIT_OK;
    case OPT_JOIN_URL:
        return init_add_domain(in, optarg) ? EXIT_OK
                                           : init_mistake("--join-url", "is there more than 64 times");
    case OPT_CORE:
        in->core = optarg;
        return EXIT_OK;
    case OPT_EDGE:
        return init_add_edge(in, optarg) ? EXIT_OK
                                         : init_mistake("--edge", "is not of the form " EDGE_SPEC_FORM);
    case OPT_BRIDGE:
        init_add_bridge(init_domain_now(in), optarg);
        return EXIT_OK;
    case OPT_BRIDGE_CA:
        init_domain_now(in)->bridge_ca = optarg;
        return EXIT_OK;
    case OPT_TURN_USER:
        return init_add_user(in, optarg)
                   ? EXIT_OK
                   : init_mistake("--turn-user", "is not of the form NAME:PASSWORD or NAME:@FILE");
    case OPT_ALLOW_PEER:
        json_array_append_new(in->allow_peers, json_string(optarg));
        return EXIT_OK;
    case OPT_USER:
        in->user = optarg;
        return EXIT_OK;
    case OPT_EXPIRES:
        return edges_parse_time(optarg, &in->bundle.seconds) == ERR_OK
                   ? EXIT_OK
                   : init_mistake("--expires", "is 90m, 24h, 7d or the like");
    case OPT_PASSPHRASE_FILE:
        in->passphrase_file = optarg;
        return EXIT_OK;
    case OPT_FORCE:
        in->force = true;
        return EXIT_OK;
    case OPT_JSON:
        in->json = true;
        return EXIT_OK;
    default:
        return verb_usage("init");
    }
}

static int init_options(struct init *in, int argc, char **argv)
{
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == OPT_HELP) {
            fputs(help, stdout);
            exit(EXIT_OK);
        }
        int status = init_option(in, option);
        if (status != EXIT_OK)
            return status;
    }
    if (optind < argc)
        return init_mistake(argv[optind], "is no option");
    if (in->n_domains == 0)
        return init_mistake("--join-url", "is missing: the URL that guests open");
    if (!in->core)
        return init_mistake("--core", "is missing: the name of this box");
    if (json_array_size(in->edges) == 0)
        return init_mistake("--edge", "is missing: NAME=ADDRESS of the box in the DMZ");
    return EXIT_OK;
}

/* What is written --------------------------------------------------------------------------------------- */

/* What the CA of domain i is called beside stile.json. */
static const char *init_ca_name(const struct init *in, size_t i, char out[300])
{
    char host[256] = "";
    uint16_t port;
    if (i > 0) /* a wrong URL is told by config_parse */
        (void)config_split_url(in->domains[i].join_url, host, &port);
    snprintf(out, 300, i > 0 ? "bridge-ca-%s.pem" : "bridge-ca.pem", host);
    return out;
}

/* The bridges of domain i, as members of object. */
static void init_set_bridges(const struct init *in, size_t i, json_t *object)
{
    const struct init_domain *d = &in->domains[i];
    char name[300];
    json_object_set_new(object, "targets", d->targets ? json_deep_copy(d->targets) : json_array());
    if (d->bridge_ca)
        json_object_set_new(object, "bridge_ca", json_string(init_ca_name(in, i, name)));
}

static json_t *init_web(const struct init *in)
{
    json_t *web = json_pack("{sb}", "enabled", 1), *domains = json_array();
    init_set_bridges(in, 0, web);
    for (size_t i = 1; i < in->n_domains; i++) {
        json_t *domain = json_pack("{ss}", "join_url", in->domains[i].join_url);
        init_set_bridges(in, i, domain);
        json_array_append_new(domains, domain);
    }
    if (json_array_size(domains) > 0)
        json_object_set(web, "domains", domains);
    json_decref(domains);
    return web;
}

static json_t *init_config(struct init *in)
{
    json_t *web = init_web(in);
    json_t *turn = json_pack("{sb so}", "enabled", 1, "allow_peers", json_deep_copy(in->allow_peers));
    json_t *core = json_pack("{ssss}", "name", in->core, "key", in->core_key.public_line);
    size_t i;
    json_t *edge;
    json_array_foreach (in->edges, i, edge)
        json_object_set_new(edge, "host_key", json_string(in->edge_keys[i].public_line));
    return json_pack("{si ss so so s[o] so}", "revision", 1, "join_url", in->domains[0].join_url, "web_proxy",
                     web, "edges", json_deep_copy(in->edges), "cores", core, "turn", turn);
}

static void init_random_hex(char *out, size_t bytes)
{
    unsigned char raw[64];
    REQUIRE(bytes <= sizeof raw);
    if (RAND_bytes(raw, (int)bytes) != 1)
        fatal("no random bytes");
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
    OPENSSL_cleanse(raw, sizeof raw);
}

static char *init_print(const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(2)), *line = NULL;
    if (text && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    file_wipe(text);
    return line;
}

static enum err init_texts(struct init *in, char *why)
{
    char nonce_key[65], shared_secret[65], password[33];
    struct config judged;
    struct secrets judged_secrets;
    if (json_array_size(in->turn_users) == 0) {
        init_random_hex(password, 12);
        json_array_append_new(in->turn_users, json_pack("{ssss}", "name", "stile", "password", password));
        in->password_made = true;
    }
    init_random_hex(nonce_key, 32);
    json_t *config = init_config(in);
    init_random_hex(shared_secret, 32);
    json_t *secrets = json_pack("{sO s[s] ss}", "turn_users", in->turn_users, "turn_shared_secrets",
                                shared_secret, "turn_nonce_key", nonce_key);
    OPENSSL_cleanse(nonce_key, sizeof nonce_key);
    OPENSSL_cleanse(shared_secret, sizeof shared_secret);
    in->config_text = config ? init_print(config) : NULL;
    in->secrets_text = secrets ? init_print(secrets) : NULL;
    json_decref(config);
    json_decref(secrets);
    if (!in->config_text || !in->secrets_text) {
        snprintf(why, SCHEMA_WHY, "out of memory, or an option is not UTF-8");
        return ERR_MEMORY;
    }
    enum err e = config_parse("the new " BOX_CONFIG, in->config_text, &judged, why);
    if (e != ERR_OK)
        return e;
    config_free(&judged);
    e = secrets_parse("the new " BOX_SECRETS, in->secrets_text, &judged_secrets, why);
    if (e == ERR_OK)
        secrets_free(&judged_secrets);
    return e;
}

/* Needs core's key in its file. */
static enum err init_write_bundles(struct init *in, char *why)
{
    struct config config;
    struct pairing p = {.json = json_pack("{s[]}", "edges")};
    enum err e = p.json ? config_parse(BOX_CONFIG, in->config_text, &config, why) : ERR_MEMORY;
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < json_array_size(in->edges) && e == ERR_OK; i++) {
        const char *edge = json_string_value(json_object_get(json_array_get(in->edges, i), "name"));
        e = edges_write_bundle(&in->box, &p, &config, edge, in->secrets_text, &in->edge_keys[i], &in->bundle,
                               in->user, why);
    }
    if (e == ERR_OK)
        e = pairing_save(&in->box, &p, in->user, why);
    pairing_free(&p);
    config_free(&config);
    return e;
}

static enum err init_write_ca(struct init *in, size_t i, char *why)
{
    char *text, name[300];
    const char *file = in->domains[i].bridge_ca;
    size_t n;
    if (!file)
        return ERR_OK;
    enum err e = file_read_any(file, 4 * 1024 * 1024, &text, &n, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    if (!strstr(text, "-----BEGIN CERTIFICATE-----")) {
        snprintf(why, SCHEMA_WHY, "%s: holds no certificate in PEM form", file);
        e = ERR_CONFIG;
    } else {
        e = box_write(&in->box, init_ca_name(in, i, name), text, n, 0644, in->user, why);
    }
    free(text);
    return e;
}

static enum err init_write(struct init *in, char *why)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < in->n_domains && e == ERR_OK; i++)
        e = init_write_ca(in, i, why);
    if (e == ERR_OK)
        e = box_write(&in->box, BOX_CORE_KEY, in->core_key.private_pem, strlen(in->core_key.private_pem),
                      0600, in->user, why);
    if (e == ERR_OK)
        e = box_write(&in->box, BOX_SECRETS, in->secrets_text, strlen(in->secrets_text), 0600, in->user, why);
    if (e == ERR_OK)
        e = box_write(&in->box, BOX_IDENTITY, in->core, strlen(in->core), 0644, in->user, why);
    if (e == ERR_OK)
        e = init_write_bundles(in, why);
    if (e == ERR_OK) /* last: its presence says that the rest is there */
        e = box_write(&in->box, BOX_CONFIG, in->config_text, strlen(in->config_text), 0644, in->user, why);
    return e;
}

static enum err init_prepare(struct init *in, char *why)
{
    char path[PATH_MAX];
    enum err e = box_make_dir(&in->box, in->dir, in->user, why);
    if (e != ERR_OK)
        return e;
    if (!in->force && access(box_file(&in->box, BOX_CONFIG, path), F_OK) == 0) {
        snprintf(why, SCHEMA_WHY, "%s exists; --force overwrites it (and every edge must join again)", path);
        return ERR_EXISTS;
    }
    if (in->passphrase_file) {
        e = password_read_file(in->passphrase_file, in->passphrase, sizeof in->passphrase, why, SCHEMA_WHY);
        in->bundle.passphrase = in->passphrase;
    }
    if (e == ERR_OK)
        e = edges_judge_bundle(&in->bundle, why);
    if (e != ERR_OK)
        return e;
    e = ssh_key_make(&in->core_key);
    for (size_t i = 0; i < json_array_size(in->edges) && e == ERR_OK; i++)
        e = ssh_key_make(&in->edge_keys[i]);
    if (e != ERR_OK)
        snprintf(why, SCHEMA_WHY, "SSH keys cannot be made: %s", err_str(e));
    return e;
}

static void init_report(const struct init *in)
{
    size_t i;
    json_t *item;
    printf("%s/%s: shared config, revision 1\n", in->box.dir, BOX_CONFIG);
    json_array_foreach (in->edges, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        printf("%s/%s.bundle: copy it to edge %s and run there: stile-edge join %s.bundle\n", in->box.dir,
               name, name, name);
    }
    char until[32];
    printf("A bundle is secret, can be used once, until %s, and core deletes it when it was.\n",
           pairing_time(in->bundle.expires, until));
    if (in->password_made)
        json_array_foreach (in->turn_users, i, item)
            printf("TURN user %s, password %s\n", json_string_value(json_object_get(item, "name")),
                   json_string_value(json_object_get(item, "password")));
    if (strcmp(in->box.dir, BOX_DIR) == 0)
        puts("The service stile-core starts by itself; by hand it is: stile-core run");
    else
        printf("Then start core: stile-core run --dir %s\n", in->box.dir);
}

/* admin: NULL where none could be set up. */
static void init_report_json(const struct init *in, const struct admin_first *admin)
{
    size_t i;
    const json_t *edge;
    char until[32], file[PATH_MAX];
    json_t *bundles = json_array(), *report;
    pairing_time(in->bundle.expires, until);
    json_array_foreach (in->edges, i, edge) {
        const char *name = json_string_value(json_object_get(edge, "name"));
        snprintf(file, sizeof file, "%s/%s.bundle", in->box.dir, name);
        json_array_append_new(
            bundles, json_pack("{ss so ss}", "edge", name, "file", print_json_text(file), "expires", until));
    }
    report = json_pack("{so si so sO* so*}", "dir", print_json_text(in->box.dir), "revision", 1, "bundles",
                       bundles, "turn_users", in->password_made ? in->turn_users : NULL, "admin",
                       admin ? admin_first_json(admin) : NULL);
    print_json(report);
    json_decref(report);
}

/* Who may look at the admin page. */
static enum err init_admin(const struct init *in, struct admin_first *told, char *why)
{
    struct config config;
    enum err e = config_parse("the new " BOX_CONFIG, in->config_text, &config, why);
    if (e != ERR_OK)
        return e;
    const struct config_core *self = config_core_find(&config, in->core);
    if (self)
        e = admin_first_user(&in->box, in->user, ADMIN_CORE, self->admin.port, NULL, told, why);
    config_free(&config);
    return e;
}

/* Everything is there, with or without somebody who may look at the admin page. */
static void init_finish(const struct init *in)
{
    char why[SCHEMA_WHY];
    struct admin_first admin = {0};
    bool made = init_admin(in, &admin, why) == ERR_OK;
    if (in->json)
        init_report_json(in, made ? &admin : NULL);
    else
        init_report(in);
    if (made && !in->json)
        admin_first_print(&admin);
    if (!made)
        fprintf(stderr, "stile-core init: warning: %s\n", why);
    OPENSSL_cleanse(&admin, sizeof admin);
}

static void init_free(struct init *in)
{
    json_decref(in->edges);
    for (size_t i = 0; i < CONFIG_DOMAINS_MAX; i++)
        json_decref(in->domains[i].targets);
    json_decref(in->allow_peers);
    json_decref(in->turn_users);
    ssh_key_free(&in->core_key);
    for (size_t i = 0; i < INIT_EDGES_MAX; i++)
        ssh_key_free(&in->edge_keys[i]);
    free(in->config_text);
    file_wipe(in->secrets_text);
    OPENSSL_cleanse(in->passphrase, sizeof in->passphrase);
}

int init_command(int argc, char **argv)
{
    char why[SCHEMA_WHY] = "out of memory";
    struct init *in = xcalloc(1, sizeof *in);
    in->dir = BOX_DIR;
    in->user = BOX_USER;
    in->bundle.seconds = BUNDLE_DAYS * 86400;
    in->edges = json_array();
    in->allow_peers = json_array();
    in->turn_users = json_array();
    umask(077);
    int status = init_options(in, argc, argv);
    if (status == EXIT_OK) {
        enum err e = init_prepare(in, why);
        if (e == ERR_OK)
            e = init_texts(in, why);
        if (e == ERR_OK)
            e = init_write(in, why);
        if (e == ERR_OK)
            init_finish(in);
        else
            fprintf(stderr, "stile-core init: %s\n", why);
        status = e == ERR_OK ? EXIT_OK : EXIT_FAILED;
    }
    init_free(in);
    free(in);
    return status;
}
