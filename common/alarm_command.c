/* `stile-core alarm`, `stile-edge alarm`: asks the running daemon. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alarm_table.h"
#include "common/box.h"
#include "common/event_command.h"
#include "common/local_server.h"
#include "common/print_json.h"
#include "common/verb.h"

enum { PATIENCE_MS = 5000 };

static const char help[] =
    "alarm list [--all] [--json]\n"
    "       %s alarm ack NUMBER [SUBJECT] [--json]\n"
    "       %s alarm ack --all [--json]\n"
    "       %s alarm known [--json]\n"
    "\n"
    "What is wrong with this box now, the worst first: since when, what causes it and what to do about it.\n"
    "ack says that somebody looks after it: it stays in the list, marked, until it is over. SUBJECT may be\n"
    "left out where one alarm of that number is raised. known prints all alarms that there can be.\n"
    "\n"
    "  --all          list: also those that are over; ack: all that are raised\n"
    "  --json         for programs\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

struct alarm_options {
    const char *dir, *run_dir, *verb, *number, *subject, *socket;
    bool all, json;
};

static int alarm_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "%s alarm: %s%s\n", program_invocation_short_name, what, problem);
    return verb_usage("alarm");
}

static int alarm_failed(const char *why)
{
    fprintf(stderr, "%s alarm: %s\n", program_invocation_short_name, why);
    return EXIT_FAILED;
}

static int alarm_words(struct alarm_options *o, int argc, char **argv)
{
    if (optind == argc)
        return alarm_mistake("", "what? list, ack or known");
    o->verb = argv[optind++];
    bool list = strcmp(o->verb, "list") == 0;
    bool ack = strcmp(o->verb, "ack") == 0;
    if (!list && !ack && strcmp(o->verb, "known") != 0)
        return alarm_mistake(o->verb, " is none of list, ack and known");
    if (ack && optind < argc)
        o->number = argv[optind++];
    if (o->number && optind < argc)
        o->subject = argv[optind++];
    if (optind < argc)
        return alarm_mistake(argv[optind], ": one too many");
    if (ack && !o->number == !o->all)
        return alarm_mistake("", "ack takes the number of an alarm, or --all");
    return EXIT_OK;
}

/* True to go on; else *status is the exit status. */
static bool alarm_parse(struct alarm_options *o, int argc, char **argv, int *status)
{
    static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'}, {"run-dir", required_argument, NULL, 'r'},
        {"all", no_argument, NULL, 'a'},       {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},      {NULL, 0, NULL, 0}};
    const char *name = program_invocation_short_name;
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            o->dir = optarg;
        } else if (option == 'r') {
            o->run_dir = optarg;
        } else if (option == 'a') {
            o->all = true;
        } else if (option == 'j') {
            o->json = true;
        } else if (option == 'h') {
            printf("usage: %s ", name);
            *status = printf(help, name, name, name) < 0 ? EXIT_FAILED : EXIT_OK;
            return false;
        } else {
            *status = verb_usage("alarm");
            return false;
        }
    }
    *status = alarm_words(o, argc, argv);
    return *status == EXIT_OK;
}

/* The answer to msg (stolen); NULL when it was said why not. */
static json_t *alarm_ask(const struct alarm_options *o, json_t *msg)
{
    char path[PATH_MAX], why[SCHEMA_WHY];
    struct box box;
    json_t *answer = NULL;
    enum err e = box_open(&box, o->dir, o->run_dir, why);
    if (e == ERR_OK)
        e = local_request(box_run_file(&box, o->socket, path), msg, PATIENCE_MS, &answer, why);
    else
        json_decref(msg);
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    if (e != ERR_OK || reason) {
        alarm_failed(e != ERR_OK ? why : reason);
        json_decref(answer);
        return NULL;
    }
    return answer;
}

/* Listing ------------------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void alarm_print(const json_t *a)
{
    const char *severity = text_of(a, "severity"), *detail = text_of(a, "detail");
    const json_t *acknowledged = json_object_get(a, "acknowledged");
    bool active = strcmp(text_of(a, "state"), "active") == 0;
    long long count = (long long)json_integer_value(json_object_get(a, "count"));
    printf("%c%s %lld%s%s: %s\n", toupper((unsigned char)*severity), severity + 1,
           (long long)json_integer_value(json_object_get(a, "number")), *text_of(a, "subject") ? " " : "",
           text_of(a, "subject"), text_of(a, "words"));
    if (*detail)
        printf("  detail  %s\n", detail);
    printf("  since   %s", text_of(a, "since"));
    if (!active)
        printf(", over since %s", text_of(a, "cleared"));
    if (count > 1)
        printf(", %lld times since %s", count, text_of(a, "first"));
    if (json_is_object(acknowledged))
        printf(", acknowledged by %s at %s", text_of(acknowledged, "by"), text_of(acknowledged, "time"));
    printf("\n");
    if (active)
        printf("  cause   %s\n  remedy  %s\n", text_of(a, "cause"), text_of(a, "remedy"));
}

static int alarm_list(const struct alarm_options *o)
{
    const json_t *alarm;
    size_t i;
    json_t *answer = alarm_ask(o, json_pack("{ss sb}", "type", "alarms", "all", o->all));
    if (!answer)
        return EXIT_FAILED;
    if (o->json) {
        print_json(answer);
    } else {
        json_array_foreach (json_object_get(answer, "items"), i, alarm)
            alarm_print(alarm);
        if (json_array_size(json_object_get(answer, "items")) == 0)
            printf("no alarms\n");
    }
    json_decref(answer);
    return EXIT_OK;
}

void alarms_print_brief(const json_t *items)
{
    const json_t *alarm;
    size_t i;
    if (json_array_size(items) == 0)
        return;
    printf("Alarms: %zu; '%s alarm list' has causes and remedies\n", json_array_size(items),
           program_invocation_short_name);
    json_array_foreach ((json_t *)(uintptr_t)items, i, alarm) {
        const char *detail = text_of(alarm, "detail");
        printf("  %-8s %lld%s%s: %s%s%s%s\n", text_of(alarm, "severity"),
               (long long)json_integer_value(json_object_get(alarm, "number")),
               *text_of(alarm, "subject") ? " " : "", text_of(alarm, "subject"), text_of(alarm, "words"),
               *detail ? " (" : "", detail, *detail ? ")" : "");
    }
}

/* Acknowledging ------------------------------------------------------------------------------------------ */

/* Appends it to done. */
static int alarm_ack_one(const struct alarm_options *o, json_int_t number, const char *subject, json_t *done)
{
    char by[100];
    json_t *answer = alarm_ask(o, json_pack("{ss sI ss ss}", "type", "alarm_ack", "number", number, "subject",
                                            subject, "by", local_by(by, sizeof by)));
    if (!answer)
        return EXIT_FAILED;
    if (!o->json)
        printf("acknowledged: %lld %s\n", (long long)number, subject);
    json_array_append_new(done, json_pack("{sI ss}", "number", number, "subject", subject));
    json_decref(answer);
    return EXIT_OK;
}

/* Those that are meant, of all that are raised. */
static int alarm_ack_found(const struct alarm_options *o, const json_t *items, json_t *done)
{
    const json_t *alarm;
    size_t i, n = 0;
    int status = EXIT_OK;
    long wanted = o->number ? strtol(o->number, NULL, 10) : 0;
    json_array_foreach ((json_t *)(uintptr_t)items, i, alarm)
        n += o->all || json_integer_value(json_object_get(alarm, "number")) == wanted;
    if (n == 0)
        return o->all ? EXIT_OK : alarm_failed("no alarm of this number is raised");
    if (n > 1 && !o->all)
        return alarm_failed("several alarms of this number are raised: say which subject");
    json_array_foreach ((json_t *)(uintptr_t)items, i, alarm) {
        json_int_t number = json_integer_value(json_object_get(alarm, "number"));
        if ((o->all || number == wanted) && status == EXIT_OK)
            status = alarm_ack_one(o, number, text_of(alarm, "subject"), done);
    }
    return status;
}

static int alarm_ack_asked(const struct alarm_options *o, long number, json_t *done)
{
    if (o->subject)
        return alarm_ack_one(o, number, o->subject, done);
    json_t *answer = alarm_ask(o, json_pack("{ss}", "type", "alarms"));
    if (!answer)
        return EXIT_FAILED;
    int status = alarm_ack_found(o, json_object_get(answer, "items"), done);
    json_decref(answer);
    return status;
}

static int alarm_ack(const struct alarm_options *o)
{
    char *end = NULL;
    long number = o->number ? strtol(o->number, &end, 10) : 0;
    if (o->number && (*end || number < 1))
        return alarm_mistake(o->number, " is no number of an alarm");
    json_t *done = json_array();
    int status = alarm_ack_asked(o, number, done);
    if (o->json && (status == EXIT_OK || json_array_size(done) > 0))
        print_json_items(done);
    json_decref(done);
    return status;
}

static const char *alarm_where(const struct alarm_row *row)
{
    return row->box == ALARM_ON_BOTH ? "core and edge" : alarm_box_name(row->box);
}

static int alarm_known_json(const struct alarm_row *rows, size_t n)
{
    json_t *items = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(items, json_pack("{sI ss ss ss ss ss ss}", "number", (json_int_t)rows[i].number,
                                               "name", rows[i].name, "severity",
                                               alarm_severity_name(rows[i].severity), "box",
                                               alarm_where(&rows[i]), "words", rows[i].words, "cause",
                                               rows[i].cause, "remedy", rows[i].remedy));
    int status = print_json_items(items);
    json_decref(items);
    return status;
}

/* The table, as docs/alarms.md has it. */
static int alarm_known(const struct alarm_options *o)
{
    size_t n;
    const struct alarm_row *rows = alarm_rows(&n);
    if (o->json)
        return alarm_known_json(rows, n);
    for (size_t i = 0; i < n; i++) {
        const struct alarm_row *row = &rows[i];
        if (printf("%s### %u: %s\n\n`%s`, %s, on %s.\n\n- Cause: %s\n- Remedy: %s\n", i ? "\n" : "",
                   row->number, row->words, row->name, alarm_severity_name(row->severity), alarm_where(row),
                   row->cause, row->remedy) < 0)
            return EXIT_FAILED;
    }
    return EXIT_OK;
}

int alarm_command(int argc, char **argv, const char *socket)
{
    struct alarm_options o = {.dir = BOX_DIR, .socket = socket};
    int status;
    if (!alarm_parse(&o, argc, argv, &status))
        return status;
    if (strcmp(o.verb, "known") == 0)
        return alarm_known(&o);
    return strcmp(o.verb, "list") == 0 ? alarm_list(&o) : alarm_ack(&o);
}
