/* `stile-core edge`: asks the running core; where none runs, the files are changed here, by the same code. */
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/ask.h"
#include "common/password.h"
#include "common/print_json.h"
#include "common/table.h"
#include "common/verb.h"
#include "core/core.h"
#include "core/pairing/edge_spec.h"
#include "core/pairing/edges.h"

enum { PATIENCE_MS = 60000 };

static const char help[] =
    "usage: stile-core edge list [--json]\n"
    "       stile-core edge add EDGE [--expires TIME] [--passphrase | --passphrase-file FILE] [--json]\n"
    "       stile-core edge renew NAME [--expires TIME] [--passphrase | --passphrase-file FILE] [--json]\n"
    "       stile-core edge remove NAME [--json]\n"
    "\n"
    "The edges of the shared config, and their bundles. A running core takes changes over at once.\n"
    "\n"
    "  list    every edge: its tunnels, and whether its bundle waits, has expired, or the two are paired\n"
    "  add     one more edge: writes stile.json (its formatting stays; its revision counts up) and "
    "NAME.bundle beside it\n"
    "  renew   a new bundle for an edge that is there, for a box that was set up anew: what it had counts "
    "until the\n"
    "          bundle is used\n"
    "  remove  takes an edge out: its tunnels end, its keys are forgotten\n"
    "\n"
    "  EDGE " EDGE_SPEC_TEXT
    "  --expires TIME  how long the bundle is good, until the first tunnel is up: 90m, 24h, 7d (default 7d)\n"
    "  --passphrase    asks for a passphrase, and encrypts the bundle with it\n"
    "  --passphrase-file FILE\n"
    "                  the same with the first line of a file\n"
    "  --json          for programs\n"
    "  --dir DIR       the box's folder (default /etc/stile)\n"
    "  --run-dir DIR   its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --user NAME     as root, where core does not run: who owns the files (default stile)\n";

struct edge_command {
    const char *dir, *run_dir, *user, *passphrase_file;
    long expires;
    bool json, ask_passphrase;
    char passphrase[1024];
    struct box box;
    char why[SCHEMA_WHY];
};

/* Without a running core ----------------------------------------------------------------------------------
 */

static enum err load(struct edge_command *c, struct pairing *p)
{
    enum err e = box_load(&c->box, c->why);
    if (e == ERR_OK && !config_core_find(&c->box.config, c->box.name)) {
        snprintf(c->why, sizeof c->why, "%s is no core's folder: edges are added on core", c->box.dir);
        e = ERR_CONFIG;
    }
    return e == ERR_OK ? pairing_load(&c->box, p, c->why) : e;
}

static json_t *here_make(struct edge_command *c, struct pairing *p, json_t *msg, bool renew)
{
    char expires[32], unused[SCHEMA_WHY];
    struct edges_change change = {0};
    struct edges_bundle bundle = {.seconds = c->expires, .passphrase = *c->passphrase ? c->passphrase : NULL};
    const char *name = json_string_value(json_object_get(msg, "name"));
    enum err e = edges_judge_bundle(&bundle, c->why);
    json_t *edge = json_deep_copy(json_object_get(msg, "keys"));
    if (edge && !renew) {
        json_object_set(edge, "name", json_object_get(msg, "name"));
        json_object_set(edge, "ssh", json_object_get(msg, "ssh"));
    }
    if (e == ERR_OK)
        e = renew ? edges_renew(&c->box, p, name, &bundle, c->user, &change, c->why)
                  : edges_add(&c->box, p, edge, &bundle, c->user, &change, c->why);
    json_t *answer = NULL;
    if (e == ERR_OK)
        answer = json_pack("{ss ss ss ss sb sI}", "type", "edge_add", "name", name, "bundle", bundle.path,
                           "expires", pairing_time(bundle.expires, expires), "encrypted",
                           bundle.passphrase != NULL, "revision",
                           (json_int_t)(change.after ? change.revision : c->box.config.revision));
    else
        (void)edges_undo(&c->box, p, &change, c->user, unused);
    edges_change_free(&change);
    json_decref(edge);
    return answer;
}

static json_t *here_remove(struct edge_command *c, struct pairing *p, const json_t *msg)
{
    char unused[SCHEMA_WHY];
    struct edges_change change = {0};
    json_t *answer = NULL;
    const char *name = json_string_value(json_object_get(msg, "name"));
    if (edges_remove(&c->box, p, name, c->user, &change, c->why) == ERR_OK)
        answer = json_pack("{ss ss sI}", "type", "edge_remove", "name", name, "revision",
                           (json_int_t)change.revision);
    else
        (void)edges_undo(&c->box, p, &change, c->user, unused);
    edges_change_free(&change);
    return answer;
}

/* NULL: c->why says what is wrong. */
static json_t *here(struct edge_command *c, json_t *msg)
{
    struct pairing p = {0};
    json_t *answer = NULL;
    const char *type = json_string_value(json_object_get(msg, "type"));
    umask(077);
    if (load(c, &p) == ERR_OK) {
        if (strcmp(type, "edge_list") == 0)
            answer = json_pack("{ss so}", "type", "edge_list", "items", edges_list(&c->box, &p, time(NULL)));
        else if (strcmp(type, "edge_remove") == 0)
            answer = here_remove(c, &p, msg);
        else
            answer = here_make(c, &p, msg, json_is_true(json_object_get(msg, "renew")));
    }
    pairing_free(&p);
    return answer;
}

/* Asking ----------------------------------------------------------------------------------------------------
 */

/* The answer, or NULL with c->why. msg is the caller's. */
static json_t *ask(struct edge_command *c, json_t *msg)
{
    char path[PATH_MAX];
    json_t *answer = NULL;
    enum err e = box_open(&c->box, c->dir, c->run_dir, c->why);
    if (e != ERR_OK)
        return NULL;
    e = ask_socket(box_run_file(&c->box, BOX_CORE_SOCKET, path), json_incref(msg), PATIENCE_MS, &answer,
                   c->why);
    return e == ERR_NOT_FOUND ? here(c, msg) : answer;
}

/* Words -----------------------------------------------------------------------------------------------------
 */

static void show_list(const json_t *answer)
{
    static const struct table_column columns[] = {{"Edge", "name", TABLE_TEXT},
                                                  {"Target", "ssh", TABLE_TEXT},
                                                  {"State", "state", TABLE_STATE},
                                                  {"Tunnels", "tunnels_active", TABLE_TEXT},
                                                  {"Pairing", "pairing", TABLE_STATE},
                                                  {"Host key", "host_key", TABLE_TEXT},
                                                  {"Version", "version", TABLE_TEXT},
                                                  {"Reason", "reason", TABLE_TEXT},
                                                  {0}};
    size_t i;
    json_t *row;
    table_print(stdout, "Edges", columns, json_object_get(answer, "items"), "none");
    json_array_foreach (json_object_get(answer, "items"), i, row) {
        const json_t *bundle = json_object_get(row, "bundle");
        const char *file = json_string_value(json_object_get(bundle, "file"));
        if (bundle)
            printf("%s: its bundle %s until %s%s%s\n", json_string_value(json_object_get(row, "name")),
                   strcmp(json_string_value(json_object_get(row, "pairing")), "expired") ? "can be used"
                                                                                         : "could be used",
                   json_string_value(json_object_get(bundle, "expires")), file && *file ? ": " : "",
                   file ? file : "");
    }
}

/* A bundle that was renewed changes nothing in the config. */
static void show_bundle(const json_t *answer, const char *dir, bool renewed)
{
    const char *name = json_string_value(json_object_get(answer, "name"));
    if (!renewed)
        printf("%s/" BOX_CONFIG ": revision %lld\n", dir,
               (long long)json_integer_value(json_object_get(answer, "revision")));
    printf("%s: copy it to edge %s and run there: stile-edge join %s.bundle\n"
           "It is secret%s, can be used once, until %s, and core deletes it when it was.\n",
           json_string_value(json_object_get(answer, "bundle")), name, name,
           json_is_true(json_object_get(answer, "encrypted")) ? " (and encrypted)" : "",
           json_string_value(json_object_get(answer, "expires")));
}

/* What of the change other edges take over at their next start. */
static void show_waiting(const json_t *answer)
{
    size_t i;
    json_t *key;
    json_array_foreach (json_object_get(answer, "waits_for_restart"), i, key)
        printf("waiting for a restart: %s\n", json_string_value(key));
}

static void show(const struct edge_command *c, json_t *answer, bool renewed)
{
    const char *type = json_string_value(json_object_get(answer, "type"));
    if (c->json) {
        print_json(answer);
    } else if (strcmp(type, "edge_list") == 0) {
        show_list(answer);
    } else if (strcmp(type, "edge_add") == 0) {
        show_bundle(answer, c->box.dir, renewed);
    } else {
        printf("removed edge %s: revision %lld. It still knows the secrets of TURN that other edges use; to "
               "end them: "
               "stile-core key rotate --secrets, then key finish\n",
               json_string_value(json_object_get(answer, "name")),
               (long long)json_integer_value(json_object_get(answer, "revision")));
    }
    if (!c->json)
        show_waiting(answer);
}

/* The command -----------------------------------------------------------------------------------------------
 */

static json_t *add_message(char *spec)
{
    json_t *keys = edge_spec_parse(spec);
    if (!keys)
        return NULL;
    json_t *msg = json_pack("{ss sO sO}", "type", "edge_add", "name", json_object_get(keys, "name"), "ssh",
                            json_object_get(keys, "ssh"));
    json_object_del(keys, "name");
    json_object_del(keys, "ssh");
    json_object_set_new(msg, "keys", keys);
    return msg;
}

/* NULL: wrong usage. */
static json_t *message_of(struct edge_command *c, char **words, int n)
{
    json_t *msg = NULL;
    if (n == 1 && strcmp(words[0], "list") == 0)
        return json_pack("{ss}", "type", "edge_list");
    if (n == 2 && strcmp(words[0], "remove") == 0)
        return json_pack("{ss ss}", "type", "edge_remove", "name", words[1]);
    if (n == 2 && strcmp(words[0], "renew") == 0)
        msg = json_pack("{ss ss sb}", "type", "edge_add", "name", words[1], "renew", 1);
    else if (n == 2 && strcmp(words[0], "add") == 0 && !(msg = add_message(words[1])))
        fprintf(stderr, "stile-core edge add: the edge is not of the form " EDGE_SPEC_FORM "\n");
    if (msg)
        json_object_set_new(msg, "expires", json_integer(c->expires));
    if (msg && *c->passphrase)
        json_object_set_new(msg, "passphrase", json_string(c->passphrase));
    return msg;
}

static bool read_passphrase(struct edge_command *c)
{
    enum err e = ERR_OK;
    if (c->passphrase_file)
        e = password_read_file(c->passphrase_file, c->passphrase, sizeof c->passphrase, c->why,
                               sizeof c->why);
    else if (c->ask_passphrase)
        e = password_read("the bundle", false, c->passphrase, sizeof c->passphrase, c->why, sizeof c->why);
    if (e != ERR_OK)
        fprintf(stderr, "stile-core edge: %s\n", c->why);
    return e == ERR_OK;
}

static int edge_do(struct edge_command *c, char **words, int n)
{
    if (!read_passphrase(c))
        return EXIT_FAILED;
    json_t *msg = message_of(c, words, n);
    if (!msg)
        return verb_usage("edge");
    json_t *answer = ask(c, msg);
    if (answer)
        show(c, answer, strcmp(words[0], "renew") == 0);
    else
        fprintf(stderr, "stile-core edge %s: %s\n", words[0], c->why);
    json_decref(msg);
    int status = answer ? EXIT_OK : EXIT_FAILED;
    json_decref(answer);
    return status;
}

int core_edge_command(int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"expires", required_argument, NULL, 'e'},
                                            {"passphrase", no_argument, NULL, 'p'},
                                            {"passphrase-file", required_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct edge_command c = {.dir = BOX_DIR, .user = BOX_USER, .expires = BUNDLE_DAYS * 86400};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            c.dir = optarg;
        } else if (option == 'r') {
            c.run_dir = optarg;
        } else if (option == 'u') {
            c.user = optarg;
        } else if (option == 'p') {
            c.ask_passphrase = true;
        } else if (option == 'f') {
            c.passphrase_file = optarg;
        } else if (option == 'j') {
            c.json = true;
        } else if (option == 'h') {
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        } else if (option != 'e' || edges_parse_time(optarg, &c.expires) != ERR_OK) {
            if (option == 'e')
                fprintf(stderr,
                        "stile-core edge: --expires is 90m, 24h, 7d or the like: 1 minute to 90 days\n");
            return verb_usage("edge");
        }
    }
    if (optind >= argc)
        return verb_usage("edge");
    int status = edge_do(&c, argv + optind, argc - optind);
    OPENSSL_cleanse(c.passphrase, sizeof c.passphrase);
    box_close(&c.box);
    return status;
}
