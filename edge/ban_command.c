/* `stile-edge ban`: asks the running edge. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ask.h"
#include "common/box.h"
#include "common/local_server.h"
#include "common/print_json.h"
#include "common/table.h"
#include "common/verb.h"
#include "edge/bans.h"
#include "edge/edge.h"

enum { BAN_PATIENCE_MS = 20000, BAN_SECONDS = 3600 };

static const char help[] =
    "usage: stile-edge ban list [--json]\n"
    "       stile-edge ban add ADDRESS [--for SECONDS] [--reason TEXT] [--json]\n"
    "       stile-edge ban remove ADDRESS [--json]\n"
    "\n"
    "Addresses (of IPv6: the /64 around them) that the edge's web ports shut out. What they have open ends\n"
    "behind the answer that is going on; calls go on. The running edge bans by itself what stile.json(5)\n"
    "says under bans. Bans do not outlive a restart of the edge.\n"
    "\n"
    "  --for SECONDS  how long (default 3600, an hour)\n"
    "  --reason TEXT  shown in the list and in the event\n"
    "  --json         for programs, with every one of these\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

struct ban_options {
    const char *dir, *run_dir, *verb, *address, *reason;
    long seconds; /* 0: not given */
    bool json;
};

static int ban_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "stile-edge ban: %s%s\n", what, problem);
    return verb_usage("ban");
}

static int ban_failed(const char *why)
{
    fprintf(stderr, "stile-edge ban: %s\n", why);
    return EXIT_FAILED;
}

static int ban_option(struct ban_options *o, int option)
{
    char *end;
    switch (option) {
    case 'd':
        o->dir = optarg;
        return EXIT_OK;
    case 'r':
        o->run_dir = optarg;
        return EXIT_OK;
    case 'j':
        o->json = true;
        return EXIT_OK;
    case 'w':
        o->reason = optarg;
        return EXIT_OK;
    case 'f':
        o->seconds = strtol(optarg, &end, 10);
        return *optarg && !*end && o->seconds >= 1 && o->seconds <= BANS_SECONDS_MAX
                   ? EXIT_OK
                   : ban_mistake("--for", " is a number of seconds, from 1 to 366 days");
    default:
        return verb_usage("ban");
    }
}

static int ban_options(struct ban_options *o, int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"for", required_argument, NULL, 'f'},
                                            {"reason", required_argument, NULL, 'w'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'h')
            exit(fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK);
        int status = ban_option(o, option);
        if (status != EXIT_OK)
            return status;
    }
    if (optind == argc)
        return ban_mistake("", "what? list, add or remove");
    o->verb = argv[optind++];
    bool add = strcmp(o->verb, "add") == 0, list = strcmp(o->verb, "list") == 0;
    if (!add && !list && strcmp(o->verb, "remove") != 0)
        return ban_mistake(o->verb, " is none of list, add and remove");
    if (!list && optind == argc)
        return ban_mistake(o->verb, ": which address?");
    if (!list)
        o->address = argv[optind++];
    if (optind < argc)
        return ban_mistake(argv[optind], ": one too many");
    if ((o->seconds || o->reason) && !add)
        return ban_mistake(o->verb, " does not take these options");
    return EXIT_OK;
}

static void ban_show(const struct ban_options *o, json_t *answer)
{
    static const struct table_column columns[] = {
        {"Address", "address", TABLE_TEXT}, {"Since", "since", TABLE_TIME},   {"Until", "until", TABLE_TIME},
        {"For", "category", TABLE_TEXT},    {"Reason", "reason", TABLE_TEXT}, {0}};
    const char *done = json_string_value(json_object_get(answer, "done"));
    json_t *bans = json_object_get(answer, "bans");
    if (done && o->json) {
        print_json(answer);
    } else if (done) {
        printf("%s\n", done);
    } else if (o->json) {
        print_json_items(bans);
    } else {
        table_print(stdout, "Banned addresses", columns, bans, "none");
    }
}

int edge_ban_command(int argc, char **argv)
{
    struct ban_options o = {.dir = BOX_DIR};
    char path[PATH_MAX], why[SCHEMA_WHY];
    struct box box;
    json_t *answer;
    int status = ban_options(&o, argc, argv);
    if (status != EXIT_OK)
        return status;
    json_t *msg = json_pack("{ss ss ss* ss* sI}", "type", "ban", "verb", o.verb, "address", o.address,
                            "reason", o.reason, "seconds", (json_int_t)(o.seconds ? o.seconds : BAN_SECONDS));
    if (!msg)
        return ban_failed("the address or the reason is not UTF-8");
    enum err e = box_open(&box, o.dir, o.run_dir, why);
    if (e == ERR_OK)
        e = local_request(box_run_file(&box, BOX_EDGE_SOCKET, path), msg, BAN_PATIENCE_MS, &answer, why);
    else
        json_decref(msg);
    if (e != ERR_OK)
        return ban_failed(why);
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    if (reason)
        status = ban_failed(reason);
    else
        ban_show(&o, answer);
    json_decref(answer);
    return status;
}
