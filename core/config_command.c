/* `stile-core config`: judged here, or asked of the running core. */
#include "core/config_command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ask.h"
#include "common/config_text.h"
#include "common/diff.h"
#include "common/fatal.h"
#include "common/file.h"
#include "common/print_json.h"
#include "common/table.h"
#include "common/verb.h"
#include "core/core.h"

enum { PATIENCE_MS = 60000, READ_MAX = 4 * 1024 * 1024 };

static const char help[] =
    "usage: stile-core config check [FILE] [--json]\n"
    "       stile-core config show [--json]\n"
    "       stile-core config diff [FILE] [--json]\n"
    "       stile-core config history [REVISION] [--json]\n"
    "       stile-core config rollback REVISION [--json]\n"
    "\n"
    "check judges stile.json, or FILE in its place, as a start would, and as the running core and its edges\n"
    "would if they run; nothing is changed. show prints the config that core runs with, with every default.\n"
    "diff shows what stile.json, or FILE, has other than the running core. history lists the last revisions\n"
    "with who brought them and when, or prints one; rollback makes one of them the next revision.\n"
    "\n"
    "  --json         for programs\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "\n"
    "Exit status: 0 done (check: right; diff: the same), 1 failed (check: wrong; diff: different), 2 wrong\n"
    "usage.\n";

struct config_options {
    const char *dir, *run_dir, *verb, *argument;
    bool json;
    struct box box;
    char why[SCHEMA_WHY];
};

static int config_failed(const struct config_options *o)
{
    fprintf(stderr, "stile-core config %s: %s\n", o->verb, o->why);
    return EXIT_FAILED;
}

/* Asking ------------------------------------------------------------------------------------------------- */

/* NULL with o->why set; *e is ERR_NOT_FOUND where no core runs. msg is stolen. */
static json_t *ask_core(struct config_options *o, json_t *msg, enum err *e)
{
    char path[PATH_MAX];
    json_t *answer = NULL;
    *e = ask_socket(box_run_file(&o->box, BOX_CORE_SOCKET, path), msg, PATIENCE_MS, &answer, o->why);
    return answer;
}

static void print_list(const char *title, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach (list, i, item)
        printf("%s%s", i ? ", " : title, json_string_value(item));
    if (json_array_size(list) > 0)
        putchar('\n');
}

void config_print_change(const char *what, const json_t *answer)
{
    size_t i;
    json_t *row;
    printf("%s: revision %lld; tunnels: %lld go on, %lld started, %lld end\n", what,
           (long long)json_integer_value(json_object_get(answer, "revision")),
           (long long)json_integer_value(json_object_get(answer, "kept")),
           (long long)json_integer_value(json_object_get(answer, "started")),
           (long long)json_integer_value(json_object_get(answer, "retired")));
    json_array_foreach (json_object_get(answer, "edges"), i, row) {
        const char *state = json_string_value(json_object_get(row, "state"));
        bool away = strcmp(state, "away") == 0;
        printf("edge %s: %s%s\n", json_string_value(json_object_get(row, "edge")), state,
               away ? "; it gets the change when it is back" : "");
    }
    print_list("waiting for a restart: ", json_object_get(answer, "waits_for_restart"));
}

/* Verbs -------------------------------------------------------------------------------------------------- */

static const char *config_file(const struct config_options *o, char path[PATH_MAX])
{
    return o->argument ? o->argument : box_file(&o->box, BOX_CONFIG, path);
}

/* As a start would. */
static enum err judge_here(struct config_options *o, const char *name, const char *text, long *revision)
{
    struct core *c = xcalloc(1, sizeof *c);
    struct schema_source source = {.file = name, .text = text};
    struct box fresh;
    enum err e = box_load_text(&o->box, name, text, &fresh, o->why);
    c->loop = ev_default_loop(EVFLAG_NOENV);
    c->box = &fresh;
    if (e == ERR_OK) {
        *revision = fresh.config.revision;
        e = core_material_load(c, &fresh, &c->material, o->why);
        config_problem_place(&source, o->why);
    }
    if (e == ERR_OK)
        core_material_free(&c->material);
    box_close(&fresh);
    free(c);
    return e;
}

static int say_checked(const struct config_options *o, json_t *answer, const char *name)
{
    const json_t *problem = json_object_get(answer, "problem");
    bool ok = json_is_true(json_object_get(answer, "ok"));
    if (o->json) {
        print_json(answer);
    } else if (ok) {
        printf("%s: right, revision %lld\n", name,
               (long long)json_integer_value(json_object_get(answer, "revision")));
        print_list("would wait for a restart: ", json_object_get(answer, "waits_for_restart"));
    } else {
        const char *key = json_string_value(json_object_get(problem, "key"));
        fprintf(stderr, "stile-core config check: %s:%lld: %s%s%s\n", name,
                (long long)json_integer_value(json_object_get(problem, "line")), key ? key : "",
                key ? ": " : "", json_string_value(json_object_get(problem, "message")));
    }
    json_decref(answer);
    return ok ? EXIT_OK : EXIT_FAILED;
}

static int run_check(struct config_options *o)
{
    char path[PATH_MAX], *text = NULL;
    const char *name = config_file(o, path);
    long revision = 0;
    enum err asked;
    json_t *answer = NULL;
    enum err e = file_read_any(name, READ_MAX, &text, NULL, o->why, sizeof o->why);
    if (e == ERR_OK)
        e = judge_here(o, name, text, &revision);
    if (e == ERR_OK) {
        answer = ask_core(o, json_pack("{ss ss}", "type", "config_check", "text", text), &asked);
        if (!answer && asked == ERR_NOT_FOUND) /* no core runs: nobody else to ask */
            answer = json_pack("{sb sI}", "ok", 1, "revision", (json_int_t)revision);
    }
    free(text);
    if (answer)
        return say_checked(o, answer, name);
    if (o->json && e != ERR_OK) {
        answer = json_pack("{sb so}", "ok", 0, "problem", config_problem_json(o->why));
        print_json(answer);
        json_decref(answer);
        return EXIT_FAILED;
    }
    return config_failed(o);
}

static int run_show(struct config_options *o)
{
    enum err e;
    json_t *answer = ask_core(o, json_pack("{ss}", "type", "config_show"), &e);
    if (!answer)
        return config_failed(o);
    int status = print_json(o->json ? answer : json_object_get(answer, "config"));
    json_decref(answer);
    return status;
}

static int run_diff(struct config_options *o)
{
    char path[PATH_MAX], running[64], *text = NULL, *diff = NULL;
    enum err e = file_read_any(config_file(o, path), READ_MAX, &text, NULL, o->why, sizeof o->why);
    json_t *answer = e == ERR_OK ? ask_core(o, json_pack("{ss}", "type", "config_show"), &e) : NULL;
    if (answer) {
        snprintf(running, sizeof running, "running (revision %lld)",
                 (long long)json_integer_value(json_object_get(answer, "revision")));
        diff = diff_unified(json_string_value(json_object_get(answer, "text")), running, text,
                            config_file(o, path));
        snprintf(o->why, sizeof o->why, "out of memory");
    }
    json_decref(answer);
    free(text);
    if (!diff)
        return config_failed(o);
    int status = *diff ? EXIT_FAILED : EXIT_OK;
    answer = o->json ? json_pack("{sb ss}", "same", !*diff, "diff", diff) : NULL;
    if (answer)
        print_json(answer);
    else
        fputs(diff, stdout);
    json_decref(answer);
    free(diff);
    return status;
}

static bool parse_revision(struct config_options *o, json_t **out)
{
    char *end;
    long revision = o->argument ? strtol(o->argument, &end, 10) : 0;
    bool right = o->argument && *o->argument && !*end && revision > 0;
    if (right)
        *out = json_integer(revision);
    else
        fprintf(stderr, "stile-core config %s: a revision is a number from 1\n", o->verb);
    return right;
}

static int run_history(struct config_options *o)
{
    static const struct table_column columns[] = {{"Revision", "revision", TABLE_TEXT},
                                                  {"Time", "time", TABLE_TEXT},
                                                  {"By", "by", TABLE_TEXT},
                                                  {"Changed", "summary", TABLE_TEXT},
                                                  {0}};
    json_t *msg = json_pack("{ss}", "type", "config_history"), *revision = NULL;
    enum err e;
    if (o->argument && !parse_revision(o, &revision)) {
        json_decref(msg);
        return verb_usage("config");
    }
    if (revision)
        json_object_set_new(msg, "revision", revision);
    json_t *answer = ask_core(o, msg, &e);
    if (!answer)
        return config_failed(o);
    if (o->json)
        print_json(answer);
    else if (o->argument)
        fputs(json_string_value(json_object_get(answer, "text")), stdout);
    else
        table_print(stdout, "Revisions", columns, json_object_get(answer, "items"), "none is kept");
    json_decref(answer);
    return EXIT_OK;
}

static int run_rollback(struct config_options *o)
{
    json_t *revision;
    enum err e;
    if (!parse_revision(o, &revision))
        return verb_usage("config");
    json_t *answer = ask_core(o, json_pack("{ss so}", "type", "config_rollback", "revision", revision), &e);
    if (!answer)
        return config_failed(o);
    if (o->json)
        print_json(answer);
    else
        config_print_change("rolled back", answer);
    json_decref(answer);
    return EXIT_OK;
}

static const struct {
    const char *name;
    int (*run)(struct config_options *o);
    bool takes_argument;
} verbs[] = {{"check", run_check, true},     {"show", run_show, false},        {"diff", run_diff, true},
             {"history", run_history, true}, {"rollback", run_rollback, true}, {0}};

/* False: *status is the exit status. */
static bool parse(int argc, char **argv, struct config_options *o, int *status)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    *status = EXIT_USAGE;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            o->dir = optarg;
        } else if (option == 'r') {
            o->run_dir = optarg;
        } else if (option == 'j') {
            o->json = true;
        } else if (option == 'h') {
            *status = fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
            return false;
        } else {
            verb_usage("config");
            return false;
        }
    }
    o->verb = optind < argc ? argv[optind] : NULL;
    o->argument = optind + 1 < argc ? argv[optind + 1] : NULL;
    if (o->verb && optind + 2 >= argc)
        return true;
    fprintf(stderr, "stile-core config: check, show, diff, history or rollback?\n");
    verb_usage("config");
    return false;
}

int config_command(int argc, char **argv)
{
    struct config_options o = {.dir = BOX_DIR};
    int status;
    if (!parse(argc, argv, &o, &status))
        return status;
    for (size_t i = 0; verbs[i].name; i++) {
        if (strcmp(verbs[i].name, o.verb) != 0 || (o.argument && !verbs[i].takes_argument))
            continue;
        if (box_open(&o.box, o.dir, o.run_dir, o.why) != ERR_OK)
            return config_failed(&o);
        return verbs[i].run(&o);
    }
    fprintf(stderr,
            "stile-core config: '%s' is none of check, show, diff, history and rollback, or has too "
            "many words behind it\n",
            o.verb);
    return verb_usage("config");
}
