/* `stile-edge relay`: asks the running edge. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ask.h"
#include "common/box.h"
#include "common/print_json.h"
#include "common/table.h"
#include "common/verb.h"
#include "edge/edge.h"

enum { RELAY_PATIENCE_MS = 5000 };

static const char help[] =
    "usage: stile-edge relay list [--json]\n"
    "       stile-edge relay show ADDRESS [--json]\n"
    "\n"
    "TURN relays in use. list has at most 2000 of them; show finds each by the relayed address, as in\n"
    "203.0.113.10:24000, with its peers and channels.\n"
    "\n"
    "  --json         for programs\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

struct relay_options {
    const char *dir, *run_dir, *verb, *address;
    bool json;
};

static int relay_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "stile-edge relay: %s%s\n", what, problem);
    return verb_usage("relay");
}

static int relay_options(struct relay_options *o, int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'h')
            exit(fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK);
        else if (option == 'd')
            o->dir = optarg;
        else if (option == 'r')
            o->run_dir = optarg;
        else if (option == 'j')
            o->json = true;
        else
            return verb_usage("relay");
    }
    if (optind == argc)
        return relay_mistake("", "what? list or show");
    o->verb = argv[optind++];
    bool show = strcmp(o->verb, "show") == 0;
    if (!show && strcmp(o->verb, "list") != 0)
        return relay_mistake(o->verb, " is none of list and show");
    if (show && optind == argc)
        return relay_mistake(o->verb, ": which relayed address?");
    if (show)
        o->address = argv[optind++];
    return optind < argc ? relay_mistake(argv[optind], ": one too many") : EXIT_OK;
}

static void relay_show(const json_t *relay)
{
    static const struct table_column peers[] = {
        {"Address", "address", TABLE_TEXT}, {"Ends in", "expires_in", TABLE_AGE}, {0}};
    static const struct table_column channels[] = {{"Number", "number", TABLE_TEXT},
                                                   {"Peer", "peer", TABLE_TEXT},
                                                   {"Ends in", "expires_in", TABLE_AGE},
                                                   {0}};
    json_t *rows = json_pack("[O]", relay);
    table_print(stdout, "TURN relay", edge_relay_columns, rows, "none");
    table_print(stdout, "Peers that it may reach", peers, json_object_get(relay, "peers"), "none yet");
    table_print(stdout, "Channels", channels, json_object_get(relay, "channels"),
                "none: data goes by indications");
    json_decref(rows);
}

/* status: the answer of that verb. */
static int relay_list(const struct relay_options *o, const json_t *status)
{
    json_t *relays = json_object_get(status, "relays");
    json_int_t left_out =
        json_integer_value(json_object_get(json_object_get(status, "usage"), "relays_left_out"));
    if (o->json) {
        json_t *answer = json_pack("{sO sI}", "items", relays, "left_out", left_out);
        int exit_status = print_json(answer);
        json_decref(answer);
        return exit_status;
    }
    table_print(stdout, "TURN relays", edge_relay_columns, relays, "no relays");
    if (left_out)
        printf("  and %lld more, not listed\n", (long long)left_out);
    return EXIT_OK;
}

int edge_relay_command(int argc, char **argv)
{
    struct relay_options o = {.dir = BOX_DIR};
    char path[PATH_MAX], why[SCHEMA_WHY];
    struct box box;
    json_t *answer = NULL;
    int status = relay_options(&o, argc, argv);
    if (status != EXIT_OK)
        return status;
    json_t *msg = o.address ? json_pack("{ss ss}", "type", "relay", "id", o.address)
                            : json_pack("{ss}", "type", "status");
    if (!msg)
        return relay_mistake("show", ": the address is not UTF-8");
    enum err e = box_open(&box, o.dir, o.run_dir, why);
    if (e == ERR_OK)
        e = ask_socket(box_run_file(&box, BOX_EDGE_SOCKET, path), msg, RELAY_PATIENCE_MS, &answer, why);
    else
        json_decref(msg);
    if (e != ERR_OK) {
        fprintf(stderr, "stile-edge relay: %s\n", why);
        return EXIT_FAILED;
    }
    if (!o.address)
        status = relay_list(&o, answer);
    else if (o.json)
        status = print_json(answer);
    else
        relay_show(answer);
    json_decref(answer);
    return status;
}
