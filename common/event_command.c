/* `stile-core event`, `stile-edge event`: asks the running daemon. */
#include "common/event_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/box.h"
#include "common/events.h"
#include "common/local_server.h"
#include "common/print_json.h"
#include "common/verb.h"

enum { FOLLOW_SECONDS = 25, PATIENCE_MS = 5000, LIMIT_USUAL = 100 };

static const char help[] =
    "event list [--follow] [--filter TEXT] [--level LEVEL] [--limit N] [--json]\n"
    "\n"
    "What happened on this box, the newest last: what it and its workers logged as notice or worse, and its\n"
    "alarms. The last 10000 events are kept over restarts.\n"
    "\n"
    "  --follow       then go on with what happens, until Ctrl-C\n"
    "  --filter TEXT  with TEXT in the name, the process or the fields\n"
    "  --level LEVEL  critical, error, warning or notice (default): that and worse\n"
    "  --limit N      the last N of them (default 100, at most 1000)\n"
    "  --json         for programs; with --follow one object a line\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

struct event_options {
    const char *dir, *run_dir, *filter, *level, *socket;
    long limit;
    bool follow, json;
};

static int event_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "%s event: %s%s\n", program_invocation_short_name, what, problem);
    return verb_usage("event");
}

static bool event_level_known(const char *level)
{
    static const char *const levels[] = {"critical", "error", "warning", "notice"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(level, levels[i]) == 0)
            return true;
    return false;
}

static int event_option(struct event_options *o, int option)
{
    char *end;
    switch (option) {
    case 'd':
        o->dir = optarg;
        return EXIT_OK;
    case 'r':
        o->run_dir = optarg;
        return EXIT_OK;
    case 'f':
        o->follow = true;
        return EXIT_OK;
    case 't':
        o->filter = optarg;
        return EXIT_OK;
    case 'j':
        o->json = true;
        return EXIT_OK;
    case 'l':
        o->level = optarg;
        return event_level_known(optarg)
                   ? EXIT_OK
                   : event_mistake(optarg, " is no level: critical, error, warning, notice");
    case 'n':
        o->limit = strtol(optarg, &end, 10);
        return *optarg && !*end && o->limit >= 1 && o->limit <= EVENTS_ASKED_MAX
                   ? EXIT_OK
                   : event_mistake("--limit", " is a number from 1 to 1000");
    default:
        return verb_usage("event");
    }
}

/* True to go on; else *status is the exit status. */
static bool event_parse(struct event_options *o, int argc, char **argv, int *status)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"filter", required_argument, NULL, 't'},
                                            {"level", required_argument, NULL, 'l'},
                                            {"limit", required_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    *status = EXIT_OK;
    while (*status == EXIT_OK && (option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'h') {
            *status = printf("usage: %s %s", program_invocation_short_name, help) < 0 ? EXIT_FAILED : EXIT_OK;
            return false;
        }
        *status = event_option(o, option);
    }
    if (*status == EXIT_OK && (optind + 1 != argc || strcmp(argv[optind], "list") != 0))
        *status = event_mistake("", "what? list");
    return *status == EXIT_OK;
}

/* A value with spaces, quoted. */
static void print_value(const char *value)
{
    bool plain = *value && !strpbrk(value, " \"");
    printf(plain ? "%s" : "\"%s\"", value);
}

static void event_print(const json_t *event, bool as_json)
{
    const char *key;
    json_t *value;
    if (as_json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    printf("%s %s %s %s:", json_string_value(json_object_get(event, "time")),
           json_string_value(json_object_get(event, "level")),
           json_string_value(json_object_get(event, "process")),
           json_string_value(json_object_get(event, "name")));
    json_object_foreach (json_object_get(event, "fields"), key, value) {
        printf(" %s=", key);
        print_value(json_string_value(value));
    }
    putchar('\n');
}

/* What is new behind `after`, or the last ones; NULL when it was said why not. */
static json_t *event_ask(const struct event_options *o, const char *path, json_int_t after)
{
    char why[SCHEMA_WHY];
    json_t *answer = NULL;
    json_t *msg = json_pack("{ss ss* ss* sI sI}", "type", "events", "text", o->filter, "level", o->level,
                            "limit", (json_int_t)(after ? EVENTS_ASKED_MAX : o->limit), "after", after);
    if (after)
        json_object_set_new(msg, "wait", json_integer(FOLLOW_SECONDS));
    enum err e = local_request(path, msg, PATIENCE_MS + (after ? FOLLOW_SECONDS * 1000 : 0), &answer, why);
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    if (e == ERR_OK && !reason)
        return answer;
    fprintf(stderr, "%s event: %s\n", program_invocation_short_name, reason ? reason : why);
    json_decref(answer);
    return NULL;
}

/* Prints the items, the oldest first. The id of the newest. */
static json_int_t event_show(const struct event_options *o, const json_t *items, bool newest_first)
{
    size_t n = json_array_size(items);
    json_int_t last = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *event = json_array_get(items, newest_first ? n - 1 - i : i);
        event_print(event, o->json);
        last = json_integer_value(json_object_get(event, "id"));
    }
    fflush(stdout);
    return last;
}

static int event_follow(const struct event_options *o, const char *path, json_int_t last)
{
    while (!ferror(stdout)) {
        json_t *answer = event_ask(o, path, last ? last : 1);
        if (!answer)
            return EXIT_FAILED;
        json_int_t newest = event_show(o, json_object_get(answer, "items"), false);
        last = newest ? newest : last;
        json_decref(answer);
    }
    return EXIT_OK;
}

int event_command(int argc, char **argv, const char *socket)
{
    struct event_options o = {.dir = BOX_DIR, .socket = socket, .limit = LIMIT_USUAL};
    char path[PATH_MAX], why[SCHEMA_WHY];
    struct box box;
    int status;
    if (!event_parse(&o, argc, argv, &status))
        return status;
    if (box_open(&box, o.dir, o.run_dir, why) != ERR_OK) {
        fprintf(stderr, "%s event: %s\n", program_invocation_short_name, why);
        return EXIT_FAILED;
    }
    json_t *answer = event_ask(&o, box_run_file(&box, socket, path), 0);
    if (!answer)
        return EXIT_FAILED;
    json_t *items = json_object_get(answer, "items");
    json_int_t last = 0;
    if (o.json && !o.follow) {
        print_json(answer);
    } else {
        last = event_show(&o, items, true);
    }
    json_decref(answer);
    return o.follow ? event_follow(&o, path, last) : EXIT_OK;
}
