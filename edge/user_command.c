/* `stile-edge user`: asks the running edge, or works on the database itself where none runs. */
#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/ask.h"
#include "common/box.h"
#include "common/local_server.h"
#include "common/password.h"
#include "common/print_json.h"
#include "common/sandbox.h"
#include "common/store.h"
#include "common/table.h"
#include "common/verb.h"
#include "edge/edge.h"
#include "edge/user_request.h"

enum { USER_PATIENCE_MS = 20000 };

static const char help[] =
    "usage: stile-edge user add NAME [--password-stdin] [--json]\n"
    "       stile-edge user password NAME [--password-stdin] [--json]\n"
    "       stile-edge user disable|enable|remove NAME [--json]\n"
    "       stile-edge user list [--json]\n"
    "       stile-edge user token NAME [--ttl SECONDS] [--json]\n"
    "\n"
    "TURN users of this edge. Passwords are asked for on a terminal, else read from standard input; the\n"
    "database keeps keys made from them. Changes count at once, whether the edge runs or not; a call that "
    "is\n"
    "going on ends when its relay would have to be refreshed by a user who is disabled or removed.\n"
    "token makes credentials that end, with the first of turn_shared_secrets.\n"
    "\n"
    "  --password-stdin  read the password from standard input even if that is a terminal\n"
    "  --ttl SECONDS     how long a token is good (default 86400, a day)\n"
    "  --json            for programs, with every one of these\n"
    "  --dir DIR         the box's folder (default /etc/stile)\n"
    "  --run-dir DIR     its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --state-dir DIR   its database (default /var/lib/stile for /etc/stile, else DIR/state)\n";

struct user_options {
    const char *dir, *run_dir, *state_dir;
    const char *verb, *name;
    size_t verb_row;
    long ttl; /* 0: not given */
    bool json, password_stdin;
};

static const struct {
    const char *name;
    bool takes_name, takes_password;
    const char *note; /* where the edge runs */
} verbs[] = {
    {"add", true, true, ""},
    {"password", true, true, ""},
    {"disable", true, false, "; relays that are in use end when they would be refreshed"},
    {"enable", true, false, ""},
    {"remove", true, false, "; relays that are in use end when they would be refreshed"},
    {"list", false, false, ""},
    {"token", true, false, ""},
    {0},
};

static int user_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "stile-edge user: %s%s\n", what, problem);
    return verb_usage("user");
}

static int user_failed(const char *why)
{
    fprintf(stderr, "stile-edge user: %s\n", why);
    return EXIT_FAILED;
}

/* Options ------------------------------------------------------------------------------------------------ */

static int user_option(struct user_options *o, int option)
{
    char *end;
    switch (option) {
    case 'd':
        o->dir = optarg;
        return EXIT_OK;
    case 'r':
        o->run_dir = optarg;
        return EXIT_OK;
    case 's':
        o->state_dir = optarg;
        return EXIT_OK;
    case 'j':
        o->json = true;
        return EXIT_OK;
    case 'p':
        o->password_stdin = true;
        return EXIT_OK;
    case 't':
        o->ttl = strtol(optarg, &end, 10);
        return *optarg && !*end && o->ttl >= 1 && o->ttl <= USER_TOKEN_TTL_MAX
                   ? EXIT_OK
                   : user_mistake("--ttl", " is a number of seconds, from 1 to 366 days");
    default:
        return verb_usage("user");
    }
}

static int user_options(struct user_options *o, int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"state-dir", required_argument, NULL, 's'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"password-stdin", no_argument, NULL, 'p'},
                                            {"ttl", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'h')
            exit(fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK);
        int status = user_option(o, option);
        if (status != EXIT_OK)
            return status;
    }
    if (optind == argc)
        return user_mistake("", "what? add, password, disable, enable, remove, list or token");
    o->verb = argv[optind++];
    size_t v = 0;
    while (verbs[v].name && strcmp(verbs[v].name, o->verb) != 0)
        v++;
    if (!verbs[v].name)
        return user_mistake(o->verb, " is none of add, password, disable, enable, remove, list and token");
    o->verb_row = v;
    if (verbs[v].takes_name && optind < argc)
        o->name = argv[optind++];
    if (verbs[v].takes_name && !o->name)
        return user_mistake(o->verb, ": which user?");
    if (optind < argc)
        return user_mistake(argv[optind], ": one too many");
    if ((o->password_stdin && !verbs[v].takes_password) || (o->ttl && strcmp(o->verb, "token") != 0))
        return user_mistake(o->verb, " does not take these options");
    return EXIT_OK;
}

/* Asking ------------------------------------------------------------------------------------------------- */

struct user_asker {
    const struct user_options *options;
    struct box box;
    bool runs;           /* the edge answers */
    bool open;           /* box.config and box.secrets are loaded */
    struct users *users; /* the database itself, opened once */
    char problem[SCHEMA_WHY];
};

/* Root becomes the account that the box belongs to, so that the daemon finds no file of root's. */
static enum err user_become_owner(struct user_asker *a, char *why)
{
    struct stat st;
    if (geteuid() != 0)
        return box_make_state_dir(&a->box, BOX_USER, why);
    const struct passwd *pw = stat(a->box.dir, &st) == 0 ? getpwuid(st.st_uid) : NULL;
    if (!pw || pw->pw_uid == 0) {
        snprintf(why, SCHEMA_WHY, "%s: belongs to %s; it must belong to the account that the edge runs as",
                 a->box.dir, pw ? "root" : "nobody that this machine knows");
        return ERR_REFUSED;
    }
    char name[64];
    snprintf(name, sizeof name, "%s", pw->pw_name);
    enum err e = box_make_state_dir(&a->box, name, why);
    if (e == ERR_OK)
        e = sandbox_become(name, why, SCHEMA_WHY);
    if (e == ERR_OK)
        sandbox_harden(); /* the database may be of a daemon that was taken over: nothing of root is left */
    return e;
}

static enum err user_open_database(struct user_asker *a, char *why)
{
    char path[PATH_MAX];
    if (a->open)
        return ERR_OK;
    enum err e = user_become_owner(a, why);
    if (e == ERR_OK)
        e = box_load(&a->box, why);
    a->open = e == ERR_OK;
    if (e == ERR_OK && strcmp(a->options->verb, "token") != 0)
        e = users_open(box_state_file(&a->box, STORE_FILE, path), &a->users, why);
    return e;
}

static enum err user_ask_edge(struct user_asker *a, json_t *msg, json_t **answer, char *why)
{
    char path[PATH_MAX];
    return local_request(box_run_file(&a->box, BOX_EDGE_SOCKET, path), msg, USER_PATIENCE_MS, answer, why);
}

/* msg is stolen. */
static enum err user_ask(struct user_asker *a, json_t *msg, json_t **answer, char *why)
{
    const char *changed;
    if (!msg) {
        snprintf(why, SCHEMA_WHY, "the name is not UTF-8");
        return ERR_CONFIG;
    }
    enum err e = user_ask_edge(a, json_incref(msg), answer, why);
    a->runs = e == ERR_OK;
    if (e == ERR_NOT_FOUND) {
        e = user_open_database(a, why);
        if (e == ERR_OK) {
            const struct user_book book = {a->users, a->problem, &a->box.secrets, a->box.config.turn.realm};
            *answer = user_request(&book, msg, time(NULL), &changed);
            e = *answer ? ERR_OK : ERR_MEMORY;
            json_t *heard; /* by an edge that was starting meanwhile */
            if (changed && user_ask_edge(a, json_pack("{ssss}", "type", "user", "verb", "refresh"), &heard,
                                         a->problem) == ERR_OK)
                json_decref(heard);
        }
    }
    json_decref(msg);
    if (e != ERR_OK)
        return e;
    const char *reason = json_string_value(json_object_get(*answer, "reason"));
    if (!reason)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s", reason);
    json_decref(*answer);
    return ERR_REFUSED;
}

/* The verbs ---------------------------------------------------------------------------------------------- */

static int user_run_list(struct user_asker *a)
{
    static const struct table_column columns[] = {
        {"Name", "name", TABLE_TEXT},       {"State", "state", TABLE_STATE},
        {"Kept in", "source", TABLE_TEXT},  {"Made", "created", TABLE_TIME},
        {"Changed", "changed", TABLE_TIME}, {0}};
    char why[SCHEMA_WHY], after[USERS_NAME_MAX + 1] = "";
    json_t *all = json_array(), *answer;
    bool more = true;
    while (more) {
        json_t *msg = json_pack("{ss ss ss}", "type", "user", "verb", "list", "after", after);
        if (user_ask(a, msg, &answer, why) != ERR_OK) {
            json_decref(all);
            return user_failed(why);
        }
        json_t *part = json_object_get(answer, "users");
        size_t n = json_array_size(part);
        more = json_is_true(json_object_get(answer, "more")) && n > 0;
        if (more)
            snprintf(after, sizeof after, "%s",
                     json_string_value(json_object_get(json_array_get(part, n - 1), "name")));
        json_array_extend(all, part);
        json_decref(answer);
    }
    if (a->options->json) {
        print_json_items(all);
    } else {
        table_print(stdout, "TURN users", columns, all, "none");
    }
    json_decref(all);
    return EXIT_OK;
}

/* A token; as JSON, anything. */
static void user_show(const struct user_options *o, json_t *answer)
{
    char when[64] = "";
    time_t ends = (time_t)json_integer_value(json_object_get(answer, "expires"));
    struct tm tm;
    if (o->json) {
        print_json(answer);
        return;
    }
    if (localtime_r(&ends, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S %z", &tm);
    printf("username %s\npassword %s\nexpires  %s\n", json_string_value(json_object_get(answer, "username")),
           json_string_value(json_object_get(answer, "password")), when);
}

static int user_run_one(struct user_asker *a)
{
    const struct user_options *o = a->options;
    char why[SCHEMA_WHY], password[USERS_PASSWORD_MAX + 1] = "";
    bool takes_password = verbs[o->verb_row].takes_password;
    json_t *answer;
    if (takes_password &&
        password_read(o->name, o->password_stdin, password, sizeof password, why, sizeof why) != ERR_OK)
        return user_failed(why);
    json_t *msg = json_pack("{ss ss ss}", "type", "user", "verb", o->verb, "name", o->name);
    if (msg && takes_password && json_object_set_new(msg, "password", json_string(password)) < 0) {
        json_decref(msg);
        msg = NULL;
    }
    OPENSSL_cleanse(password, sizeof password);
    if (msg && o->ttl)
        json_object_set_new(msg, "ttl", json_integer(o->ttl));
    if (user_ask(a, msg, &answer, why) != ERR_OK)
        return user_failed(why);
    const char *done = json_string_value(json_object_get(answer, "done"));
    if (done && !o->json)
        printf("%s%s\n", done,
               a->runs ? verbs[o->verb_row].note : " (the edge does not run; it will know when it starts)");
    else
        user_show(o, answer);
    json_decref(answer);
    return EXIT_OK;
}

int edge_user_command(int argc, char **argv)
{
    struct user_options o = {.dir = BOX_DIR};
    char why[SCHEMA_WHY];
    int status = user_options(&o, argc, argv);
    if (status != EXIT_OK)
        return status;
    umask(077);
    struct user_asker *a = calloc(1, sizeof *a);
    if (!a)
        return user_failed("out of memory");
    a->options = &o;
    enum err e = box_open(&a->box, o.dir, o.run_dir, why);
    if (e == ERR_OK)
        e = box_set_state(&a->box, o.state_dir, why);
    if (e != ERR_OK)
        status = user_failed(why);
    else
        status = strcmp(o.verb, "list") == 0 ? user_run_list(a) : user_run_one(a);
    users_close(a->users);
    box_close(&a->box);
    free(a);
    return status;
}
