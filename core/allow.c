/* `stile-core allow`: the allow-list as the config makes it, tried out, and exchanged as CSV. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/box.h"
#include "common/file.h"
#include "common/print_json.h"
#include "common/table.h"
#include "common/verb.h"
#include "core/allow_judge.h"
#include "core/core.h"
#include "proto/allowlist_csv.h"
#include "proto/policy.h"

enum { CSV_MAX = 4 * 1024 * 1024 };

static const char help[] =
    "usage: stile-core allow list [--json]\n"
    "       stile-core allow test URL [METHOD] [--json]\n"
    "       stile-core allow test --csv FILE [--json]\n"
    "       stile-core allow import FILE [--replace] [--json]\n"
    "       stile-core allow export [FILE] [--json]\n"
    "\n"
    "What guests may ask for.\n"
    "\n"
    "  list     the automatic rules and your own, in the order in which they are tried\n"
    "  test     says whether a guest's request would pass, by which rule, or what is missing; with --csv for "
    "each\n"
    "           line of FILE (Url,ExpectedResult,Deployment,Description,HttpMethod)\n"
    "  import   adds the rules of FILE (Url,Deployment,HttpMethods,MatchType,Description) to the extra_rules "
    "of "
    "the\n"
    "           domain that their host belongs to, else of the first; those that are there already are "
    "passed "
    "over\n"
    "  export   writes your own rules in that form, to standard output without FILE\n"
    "\n"
    "  --dir DIR    the box's folder (default /etc/stile)\n"
    "  --user USER  as root: who owns the config (default stile)\n"
    "  --csv FILE   tests to run\n"
    "  --replace    the rules of FILE take the place of your own ones\n"
    "  --json       for programs\n"
    "\n"
    "FILE may be - for standard input. Exit status: 0 done (test: allowed, or all as expected), 1 failed "
    "(test:\n"
    "blocked, or not all as expected), 2 wrong usage.\n";

struct allow {
    const char *dir, *user, *csv;
    bool json, replace;
    struct box box;
    struct policy policy;
    char why[ALLOWLIST_CSV_WHY];
};

static enum err allow_load(struct allow *a)
{
    enum err e = box_open(&a->box, a->dir, NULL, a->why);
    if (e == ERR_OK)
        e = box_load(&a->box, a->why);
    if (e == ERR_OK)
        e = policy_make(&a->box.config, &a->policy, a->why, sizeof a->why);
    return e;
}

static const char *file_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

/* The file's text; standard input for "-". */
static enum err allow_read(struct allow *a, const char *path, char **text)
{
    size_t n;
    enum err e =
        file_read_any(strcmp(path, "-") == 0 ? "/dev/stdin" : path, CSV_MAX, text, &n, a->why, sizeof a->why);
    if (e == ERR_OK && strlen(*text) != n) {
        snprintf(a->why, sizeof a->why, "%s: not text: it has a NUL byte", path);
        free(*text);
        return ERR_MALFORMED;
    }
    return e;
}

/* list ------------------------------------------------------------------------------------------------- */

static enum err allow_list(struct allow *a)
{
    static const struct table_column columns[] = {{"Rule", "rule", TABLE_TEXT},
                                                  {"Source", "source", TABLE_TEXT},
                                                  {"Domain", "domain", TABLE_TEXT},
                                                  {"Scheme", "scheme", TABLE_TEXT},
                                                  {"Host", "host", TABLE_TEXT},
                                                  {"Port", "port", TABLE_TEXT},
                                                  {"Match", "match", TABLE_TEXT},
                                                  {"Path", "path", TABLE_TEXT},
                                                  {"Methods", "methods", TABLE_TEXT},
                                                  {"Description", "description", TABLE_TEXT},
                                                  {0}};
    json_t *rules = allow_rules(&a->policy, &a->box.config);
    if (!rules)
        return ERR_MEMORY;
    if (a->json) {
        print_json_items(rules);
    } else {
        table_print(stdout, "Allow list", columns, rules,
                    "empty: web_proxy is off and there are no extra_rules");
    }
    json_decref(rules);
    return ERR_OK;
}

/* test ------------------------------------------------------------------------------------------------- */

static bool verdict_allows(const json_t *verdict)
{
    return json_is_true(json_object_get(verdict, "allowed"));
}

static void verdict_print(const json_t *verdict)
{
    printf("%s: %s\n", verdict_allows(verdict) ? "allow" : "block",
           json_string_value(json_object_get(verdict, "text")));
}

static bool allow_test(struct allow *a, const char *url, const char *method)
{
    json_t *verdict = allow_verdict(&a->policy, &a->box.config, url, method);
    bool allowed = verdict_allows(verdict);
    if (a->json) {
        print_json(verdict);
    } else {
        verdict_print(verdict);
    }
    json_decref(verdict);
    return allowed;
}

struct test_run {
    struct allow *allow;
    unsigned right, wrong;
    json_t *items; /* NULL: each is printed */
};

static void test_one(void *ctx, const struct allowlist_test *t)
{
    struct test_run *run = ctx;
    json_t *verdict = allow_verdict(&run->allow->policy, &run->allow->box.config, t->url, t->method);
    bool right = verdict_allows(verdict) == t->allow;
    run->right += right;
    run->wrong += !right;
    const char *expected = t->allow ? "allow" : "block";
    if (run->items) {
        json_array_append_new(run->items,
                              json_pack("{si sb ss so so so sO}", "line", (int)t->line, "as_expected", right,
                                        "expected", expected, "method", print_json_text(t->method), "url",
                                        print_json_text(t->url), "description",
                                        print_json_text(t->description), "verdict", verdict));
    } else {
        printf("%s line %u: %s %s %s%s%s\n  ", right ? "ok" : "NOT AS EXPECTED", t->line, expected, t->method,
               t->url, *t->description ? ": " : "", t->description);
        verdict_print(verdict);
    }
    json_decref(verdict);
}

static enum err allow_test_file(struct allow *a, bool *all_right)
{
    char *text;
    enum err e = allow_read(a, a->csv, &text);
    if (e != ERR_OK)
        return e;
    struct test_run run = {.allow = a, .items = a->json ? json_array() : NULL};
    e = allowlist_csv_tests(file_name(a->csv), text, test_one, &run, a->why, sizeof a->why);
    free(text);
    if (e == ERR_OK && run.items)
        print_json_items(run.items);
    else if (e == ERR_OK)
        printf("%u as expected, %u not\n", run.right, run.wrong);
    json_decref(run.items);
    *all_right = run.wrong == 0;
    return e;
}

/* import ----------------------------------------------------------------------------------------------- */

static bool rule_is(const struct allowlist_rule *a, const struct allowlist_rule *b)
{
    return a->websocket == b->websocket && a->port == b->port && a->exact == b->exact &&
           a->methods == b->methods && strcmp(a->host, b->host) == 0 && strcmp(a->path, b->path) == 0;
}

/* What the extra_rules of all domains will be: the present ones unless they are replaced, and those of the
 * file. */
static enum err import_rules(struct allow *a, const struct allowlist *file, struct allowlist *own,
                             size_t *added)
{
    enum err e = ERR_OK;
    for (size_t i = a->policy.automatic; !a->replace && i < a->policy.list.n && e == ERR_OK; i++)
        e = allowlist_add(own, &a->policy.list.rules[i], a->why, sizeof a->why);
    for (size_t i = 0; i < file->n && e == ERR_OK; i++) {
        bool there = false;
        for (size_t k = 0; k < own->n && !there; k++)
            there = rule_is(&own->rules[k], &file->rules[i]);
        if (there)
            continue;
        e = allowlist_add(own, &file->rules[i], a->why, sizeof a->why);
        *added += e == ERR_OK;
    }
    return e;
}

/* Where the extra_rules of domain i stand in the document: the object, made where there is none. */
static json_t *import_place(json_t *config, size_t i)
{
    json_t *web = json_object_get(config, "web_proxy");
    if (!web && json_object_set_new(config, "web_proxy", json_object()) == 0)
        web = json_object_get(config, "web_proxy");
    return i == 0 ? web : json_array_get(json_object_get(web, "domains"), i - 1);
}

/* Gives domain i those of the rules that are its. False when memory is out. */
static bool import_into(const struct allow *a, json_t *config, const struct allowlist *own, size_t i)
{
    json_t *all = allowlist_to_json(own), *rules = json_array(), *place = import_place(config, i);
    bool made = all && rules && place;
    for (size_t k = 0; k < own->n && made; k++)
        if (policy_domain_of(&a->policy, &a->box.config, own->rules[k].host) == i)
            made = json_array_append(rules, json_array_get(all, k)) == 0;
    if (made && json_array_size(rules) > 0)
        made = json_object_set(place, "extra_rules", rules) == 0;
    else if (made)
        json_object_del(place, "extra_rules");
    json_decref(all);
    json_decref(rules);
    return made;
}

/* The config with these rules and the next revision, judged as a whole, as text. */
static enum err import_config(struct allow *a, const struct allowlist *own, char **text, long *revision)
{
    struct config judged;
    json_t *config = json_deep_copy(a->box.config.json);
    *revision = a->box.config.revision + 1;
    bool made = config && json_object_set_new(config, "revision", json_integer(*revision)) == 0;
    for (size_t i = 0; i < config_domains(&a->box.config) && made; i++)
        made = import_into(a, config, own, i);
    char *fresh = made ? json_dumps(config, JSON_INDENT(2)) : NULL;
    json_decref(config);
    if (!fresh)
        return ERR_MEMORY;
    enum err e = config_parse(BOX_CONFIG, fresh, &judged, a->why);
    if (e != ERR_OK) {
        free(fresh);
        return e;
    }
    config_free(&judged);
    *text = fresh;
    return ERR_OK;
}

static void import_report(const struct allow *a, size_t added, size_t own, long revision)
{
    json_t *report = a->json ? json_pack("{sI sI sI}", "added", (json_int_t)added, "rules", (json_int_t)own,
                                         "revision", (json_int_t)revision)
                             : NULL;
    if (a->json)
        print_json(report);
    else if (revision == a->box.config.revision)
        puts("Every rule of the file is there already; nothing was changed.");
    else
        printf(
            "Rules added: %zu; own rules now: %zu. stile.json has revision %ld, which a running core takes "
            "over by itself ('stile-core status' has its revision), else its next start.\n",
            added, own, revision);
    json_decref(report);
}

static enum err allow_import(struct allow *a, const char *path)
{
    char *text, *config = NULL;
    size_t added = 0;
    long revision = a->box.config.revision;
    struct allowlist file, own;
    allowlist_init(&file);
    allowlist_init(&own);
    enum err e = allow_read(a, path, &text);
    if (e != ERR_OK)
        return e;
    e = allowlist_csv_read(file_name(path), text, &file, a->why, sizeof a->why);
    free(text);
    if (e == ERR_OK)
        e = import_rules(a, &file, &own, &added);
    if (e == ERR_OK && (added > 0 || a->replace)) {
        e = import_config(a, &own, &config, &revision);
        if (e == ERR_OK) {
            e = box_write(&a->box, BOX_CONFIG, config, strlen(config), 0644, a->user, a->why);
            free(config);
        }
    }
    if (e == ERR_OK)
        import_report(a, added, own.n, revision);
    allowlist_free(&file);
    allowlist_free(&own);
    return e;
}

/* export ----------------------------------------------------------------------------------------------- */

/* /dev/stdout, a pipe, a link: root must not put a file in its place. */
static bool is_other_than_file(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static enum err export_into(struct allow *a, const char *path, const char *text, size_t n)
{
    FILE *out = fopen(path, "we");
    bool written = out && fwrite(text, 1, n, out) == n;
    if ((out && fclose(out) != 0) || !written) {
        snprintf(a->why, sizeof a->why, "%s: cannot be written: %s", path, strerror(errno));
        return ERR_SYSTEM;
    }
    return ERR_OK;
}

/* As stile.json has them. */
static enum err export_as_json(const struct allowlist *own)
{
    json_t *rules = allowlist_to_json(own);
    if (!rules)
        return ERR_MEMORY;
    print_json_items(rules);
    json_decref(rules);
    return ERR_OK;
}

static enum err allow_export(struct allow *a, const char *path)
{
    const struct policy *p = &a->policy;
    struct allowlist own = {.rules = p->list.rules + p->automatic, .n = p->list.n - p->automatic};
    bool to_file = path && strcmp(path, "-") != 0;
    char *text = NULL;
    size_t n = 0;
    if (a->json && !to_file)
        return export_as_json(&own);
    FILE *memory = open_memstream(&text, &n);
    if (!memory)
        return ERR_MEMORY;
    allowlist_csv_write(memory, &own);
    enum err e = fclose(memory) == 0 ? ERR_OK : ERR_MEMORY;
    if (e == ERR_OK && to_file)
        e = is_other_than_file(path) ? export_into(a, path, text, n)
                                     : file_write(path, text, n, 0644, a->why, sizeof a->why);
    else if (e == ERR_OK)
        fwrite(text, 1, n, stdout);
    free(text);
    if (e == ERR_OK && a->json) {
        json_t *report = json_pack("{so sI}", "file", print_json_text(path), "rules", (json_int_t)own.n);
        print_json(report);
        json_decref(report);
    }
    return e;
}

/* The command ------------------------------------------------------------------------------------------ */

/* words: what stands behind the options. The exit status. */
static int allow_do(struct allow *a, char **words, int n)
{
    const char *verb = words[0];
    bool passed = true;
    enum err e = ERR_OK;
    bool list = strcmp(verb, "list") == 0 && n == 1,
         test = strcmp(verb, "test") == 0 && (a->csv ? n == 1 : n == 2 || n == 3),
         import = strcmp(verb, "import") == 0 && n == 2, export = strcmp(verb, "export") == 0 && n <= 2;
    if (!list && !test && !import && !export)
        return verb_usage("allow");
    snprintf(a->why, sizeof a->why, "out of memory");
    e = allow_load(a);
    if (e == ERR_OK && list)
        e = allow_list(a);
    else if (e == ERR_OK && test && a->csv)
        e = allow_test_file(a, &passed);
    else if (e == ERR_OK && test)
        passed = allow_test(a, words[1], n == 3 ? words[2] : "GET");
    else if (e == ERR_OK && import)
        e = allow_import(a, words[1]);
    else if (e == ERR_OK)
        e = allow_export(a, n == 2 ? words[1] : NULL);
    if (e != ERR_OK)
        fprintf(stderr, "stile-core allow %s: %s\n", verb, a->why);
    return e == ERR_OK && passed ? EXIT_OK : EXIT_FAILED;
}

int core_allow_command(int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"csv", required_argument, NULL, 'c'},
                                            {"replace", no_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct allow a = {.dir = BOX_DIR, .user = BOX_USER};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd')
            a.dir = optarg;
        else if (option == 'u')
            a.user = optarg;
        else if (option == 'c')
            a.csv = optarg;
        else if (option == 'r')
            a.replace = true;
        else if (option == 'j')
            a.json = true;
        else if (option == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        else
            return verb_usage("allow");
    }
    if (optind >= argc)
        return verb_usage("allow");
    int status = allow_do(&a, argv + optind, argc - optind);
    policy_free(&a.policy);
    box_close(&a.box);
    return status;
}
