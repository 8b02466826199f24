/* `stile-core key`: asks the running core, which alone can tell the edges. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/ask.h"
#include "common/print_json.h"
#include "common/table.h"
#include "common/verb.h"
#include "core/core.h"
#include "core/pairing/edges.h"

enum { PATIENCE_MS = 60000 };

static const char help[] =
    "usage: stile-core key rotate [--edge NAME] [--ssh | --secrets | --all] [--overlap TIME] [--json]\n"
    "       stile-core key finish [--json]\n"
    "       stile-core key show [--json]\n"
    "\n"
    "New SSH keys and secrets, carried over the tunnels that run, without an outage: new and old ones count "
    "for an\n"
    "overlap, then the old ones end. It goes on by itself, also when a box was restarted in between.\n"
    "\n"
    "  rotate  --ssh: core's key and every edge's host key; --secrets: the shared secret of TURN credentials "
    "that end, and\n"
    "          the key of TURN nonces; --all: both (default). Users of TURN with passwords stay: bridges "
    "know them\n"
    "  finish  ends the overlap of the rotation that is under way: old secrets count no longer, and what "
    "runs "
    "in tunnels\n"
    "          with old keys ends\n"
    "  show    the keys in use by their fingerprints, and how far a rotation is\n"
    "\n"
    "  --edge NAME     the host key of that edge alone\n"
    "  --overlap TIME  how long old secrets, and what runs in tunnels with old keys, may last (default 24h)\n"
    "  --json          for programs\n"
    "  --dir DIR       the box's folder (default /etc/stile)\n"
    "  --run-dir DIR   its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

struct key_command {
    const char *dir, *run_dir, *edge, *what;
    long overlap; /* -1: not given */
    bool json;
    char why[SCHEMA_WHY];
};

static json_t *ask(struct key_command *c, json_t *msg)
{
    static struct box box;
    char path[PATH_MAX];
    json_t *answer = NULL;
    enum err e = box_open(&box, c->dir, c->run_dir, c->why);
    if (e == ERR_OK)
        (void)ask_socket(box_run_file(&box, BOX_CORE_SOCKET, path), msg, PATIENCE_MS, &answer, c->why);
    else
        json_decref(msg);
    return answer;
}

static void show_keys(const json_t *answer)
{
    static const struct table_column columns[] = {
        {"Edge", "name", TABLE_TEXT}, {"Host key", "host_key", TABLE_TEXT}, {0}};
    printf("core's key: %s\n", json_string_value(json_object_get(answer, "core_key")));
    table_print(stdout, "Edges", columns, json_object_get(answer, "edges"), "none");
    printf("TURN secrets that count: %lld\n",
           (long long)json_integer_value(json_object_get(answer, "turn_shared_secrets")));
    core_rotation_print(json_object_get(answer, "rotation"));
}

static int key_do(struct key_command *c, const char *word)
{
    json_t *msg = json_pack("{ss}", "type",
                            strcmp(word, "show") == 0     ? "key_show"
                            : strcmp(word, "finish") == 0 ? "key_finish"
                                                          : "key_rotate");
    if (strcmp(word, "rotate") == 0) {
        json_object_set_new(msg, "what", json_string(c->what ? c->what : c->edge ? "ssh" : "all"));
        if (c->edge)
            json_object_set_new(msg, "edge", json_string(c->edge));
        if (c->overlap >= 0)
            json_object_set_new(msg, "overlap", json_integer(c->overlap));
    }
    json_t *answer = ask(c, msg);
    if (!answer) {
        fprintf(stderr, "stile-core key %s: %s\n", word, c->why);
        return EXIT_FAILED;
    }
    if (c->json) {
        print_json(answer);
    } else if (strcmp(word, "show") == 0) {
        show_keys(answer);
    } else {
        core_rotation_print(json_object_get(answer, "rotation"));
        puts("'stile-core key show' says how far it is.");
    }
    json_decref(answer);
    return EXIT_OK;
}

int core_key_command(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},     {"run-dir", required_argument, NULL, 'r'},
        {"edge", required_argument, NULL, 'e'},    {"ssh", no_argument, NULL, 's'},
        {"secrets", no_argument, NULL, 't'},       {"all", no_argument, NULL, 'a'},
        {"overlap", required_argument, NULL, 'o'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    static struct key_command c = {.dir = BOX_DIR, .overlap = -1};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            c.dir = optarg;
        } else if (option == 'r') {
            c.run_dir = optarg;
        } else if (option == 'e') {
            c.edge = optarg;
        } else if (option == 's') {
            c.what = "ssh";
        } else if (option == 't') {
            c.what = "secrets";
        } else if (option == 'a') {
            c.what = "all";
        } else if (option == 'j') {
            c.json = true;
        } else if (option == 'h') {
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        } else if (option != 'o' || edges_parse_time(optarg, &c.overlap) != ERR_OK) {
            if (option == 'o')
                fprintf(stderr, "stile-core key: --overlap is 90m, 24h, 7d or the like\n");
            return verb_usage("key");
        }
    }
    bool right =
        optind + 1 == argc && (strcmp(argv[optind], "rotate") == 0 || strcmp(argv[optind], "finish") == 0 ||
                               strcmp(argv[optind], "show") == 0);
    return right ? key_do(&c, argv[optind]) : verb_usage("key");
}
