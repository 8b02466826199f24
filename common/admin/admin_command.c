#include "common/admin/admin_command.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/admin/admin_offline.h"
#include "common/admin/admin_password.h"
#include "common/local_server.h"
#include "common/password.h"
#include "common/print_json.h"
#include "common/sandbox.h"
#include "common/table.h"
#include "common/verb.h"

enum { PATIENCE_MS = 20000 };

static const char help[] =
    "usage: %s admin user list [--json]\n"
    "       %s admin user add NAME [--role admin|reader] [--password-stdin] [--json]\n"
    "       %s admin user password NAME [--password-stdin] [--json]\n"
    "       %s admin user role NAME admin|reader [--json]\n"
    "       %s admin user remove NAME [--json]\n"
    "       %s admin token list [--json]\n"
    "       %s admin token add NAME [--role admin|reader] [--days N] [--json]\n"
    "       %s admin token remove ID [--json]\n"
    "       %s admin audit [--json]\n"
    "\n"
    "Who may use the admin page and the API of this box, and what they have changed. Passwords are asked for "
    "on a\n"
    "terminal, else read from standard input. A token is shown once, when it is made. Works whether the box "
    "runs\n"
    "or not.\n"
    "\n"
    "  --role ROLE       admin may change things; reader (default) only looks\n"
    "  --days N          how long a token is good, 1 to 3660 (default 365)\n"
    "  --password-stdin  read the password from standard input even if that is a terminal\n"
    "  --json            for programs, with every one of these\n"
    "  --dir DIR         the box's folder (default /etc/stile)\n"
    "  --run-dir DIR     its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --state-dir DIR   its database (default /var/lib/stile for /etc/stile, else DIR/state)\n";

struct words {
    const char *noun, *verb;
    const char *word; /* of the message */
    const char *arguments[3];
    bool password, role, days;
};

static const struct words table[] = {
    {"user", "list", "user_list", {NULL}, .password = false},
    {"user", "add", "user_add", {"name"}, .password = true, .role = true},
    {"user", "password", "user_change", {"name"}, .password = true},
    {"user", "role", "user_change", {"name", "role"}, .password = false},
    {"user", "remove", "user_remove", {"name"}, .password = false},
    {"token", "list", "token_list", {NULL}, .password = false},
    {"token", "add", "token_add", {"name"}, .role = true, .days = true},
    {"token", "remove", "token_remove", {"id"}, .password = false},
    {"audit", NULL, "audit", {NULL}, .password = false},
    {0},
};

struct admin_options {
    const char *dir, *run_dir, *state_dir, *role;
    long days; /* 0: not given */
    bool json, password_stdin;
};

static int admin_mistake(const char *what, const char *problem)
{
    fprintf(stderr, "%s admin: %s%s\n", program_invocation_short_name, what, problem);
    return verb_usage("admin");
}

static int admin_failed(const char *why)
{
    fprintf(stderr, "%s admin: %s\n", program_invocation_short_name, why);
    return EXIT_FAILED;
}

/* Options ---------------------------------------------------------------------------------------------------
 */

static int admin_option(struct admin_options *o, int option)
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
    case 'o':
        o->role = optarg;
        return EXIT_OK;
    case 'j':
        o->json = true;
        return EXIT_OK;
    case 'p':
        o->password_stdin = true;
        return EXIT_OK;
    case 'y':
        o->days = strtol(optarg, &end, 10);
        return *optarg && !*end && o->days >= 1 && o->days <= 3660 ? EXIT_OK
                                                                   : admin_mistake("--days", " is 1 to 3660");
    default:
        return verb_usage("admin");
    }
}

/* The row for what stands on the command line; NULL: *status is the exit status. */
static const struct words *admin_words(int argc, char **argv, int *status)
{
    const char *noun = optind < argc ? argv[optind] : "", *verb = optind + 1 < argc ? argv[optind + 1] : "";
    for (const struct words *w = table; w->noun; w++) {
        if (strcmp(w->noun, noun) != 0 || (w->verb && strcmp(w->verb, verb) != 0))
            continue;
        optind += w->verb ? 2 : 1;
        return w;
    }
    *status =
        admin_mistake(noun, *noun ? ": user list, add, password, role, remove; token list, add, remove; audit"
                                  : "what? user, token or audit");
    return NULL;
}

/* What stands behind it, as a message; NULL: *status. */
static json_t *admin_message(const struct words *w, const struct admin_options *o, int argc, char **argv,
                             int *status)
{
    json_t *msg = json_pack("{ss ss}", "type", "admin", "verb", w->word);
    for (size_t i = 0; w->arguments[i]; i++)
        if (optind < argc)
            json_object_set_new(msg, w->arguments[i], json_string(argv[optind++]));
        else
            *status = admin_mistake(w->arguments[i], " is missing");
    if (optind < argc)
        *status = admin_mistake(argv[optind], ": one too many");
    if ((o->role && !w->role) || (o->days && !w->days) || (o->password_stdin && !w->password))
        *status = admin_mistake(w->noun, ": does not take these options");
    if (w->role)
        json_object_set_new(msg, "role", json_string(o->role ? o->role : "reader"));
    if (o->days)
        json_object_set_new(msg, "days", json_integer(o->days));
    if (*status == EXIT_OK)
        return msg;
    json_decref(msg);
    return NULL;
}

/* Asking ----------------------------------------------------------------------------------------------------
 */

/* Root becomes the account that the box belongs to, so that the daemon finds no file of root's. */
static enum err admin_become_owner(const struct box *box, char *why)
{
    struct stat st;
    char name[64];
    if (geteuid() != 0)
        return box_make_state_dir(box, BOX_USER, why);
    const struct passwd *pw = stat(box->dir, &st) == 0 ? getpwuid(st.st_uid) : NULL;
    if (!pw || pw->pw_uid == 0) {
        snprintf(why, SCHEMA_WHY, "%s: must belong to the account that the box runs as", box->dir);
        return ERR_REFUSED;
    }
    snprintf(name, sizeof name, "%s", pw->pw_name);
    enum err e = box_make_state_dir(box, name, why);
    if (e == ERR_OK)
        e = sandbox_become(name, why, SCHEMA_WHY);
    if (e == ERR_OK)
        sandbox_harden(); /* the database may be of a daemon that was taken over: nothing of root is left */
    return e;
}

static enum err admin_ask(const struct box *box, enum admin_box kind, json_t *msg, json_t **answer, char *why)
{
    char path[PATH_MAX];
    box_run_file(box, kind == ADMIN_CORE ? BOX_CORE_SOCKET : BOX_EDGE_SOCKET, path);
    enum err e = local_request(path, json_incref(msg), PATIENCE_MS, answer, why);
    if (e == ERR_NOT_FOUND) {
        e = admin_become_owner(box, why);
        if (e == ERR_OK)
            e = admin_offline(box, msg, answer, why);
    }
    json_decref(msg);
    const char *reason = e == ERR_OK ? json_string_value(json_object_get(*answer, "reason")) : NULL;
    if (!reason)
        return e;
    snprintf(why, SCHEMA_WHY, "%s", reason);
    json_decref(*answer);
    return ERR_REFUSED;
}

/* Showing ---------------------------------------------------------------------------------------------------
 */

static const struct table_column user_columns[] = {
    {"Name", "name", TABLE_TEXT},       {"Role", "role", TABLE_TEXT},         {"Made", "created", TABLE_TIME},
    {"Changed", "changed", TABLE_TIME}, {"Sessions", "sessions", TABLE_TEXT}, {0}};
static const struct table_column token_columns[] = {{"Id", "id", TABLE_TEXT},
                                                    {"Name", "name", TABLE_TEXT},
                                                    {"Role", "role", TABLE_TEXT},
                                                    {"By", "by", TABLE_TEXT},
                                                    {"Made", "created", TABLE_TIME},
                                                    {"Ends", "expires", TABLE_TIME},
                                                    {0}};
static const struct table_column audit_columns[] = {
    {"Time", "time", TABLE_TEXT},     {"Who", "who", TABLE_TEXT},
    {"From", "from", TABLE_TEXT},     {"What", "what", TABLE_TEXT},
    {"Times", "count", TABLE_TEXT},   {"Detail", "detail", TABLE_TEXT},
    {"Result", "result", TABLE_TEXT}, {0}};

static void admin_show(const struct admin_options *o, json_t *answer)
{
    static const struct {
        const char *key, *title;
        const struct table_column *columns;
    } lists[] = {{"users", "Admin users", user_columns},
                 {"tokens", "API tokens", token_columns},
                 {"entries", "Audit", audit_columns}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        json_t *list = json_object_get(answer, lists[i].key);
        if (list && o->json)
            print_json_items(list);
        else if (list)
            table_print(stdout, lists[i].title, lists[i].columns, list, "none");
        if (list)
            return;
    }
    if (o->json)
        print_json(answer);
    else if (json_object_get(answer, "token"))
        printf("%s\n", json_string_value(json_object_get(answer, "token")));
    else
        printf("%s\n", json_string_value(json_object_get(answer, "done")));
}

/* The command -----------------------------------------------------------------------------------------------
 */

static enum err admin_add_password(json_t *msg, const struct admin_options *o, char *why)
{
    char password[ADMIN_PASSWORD_MOST + 1];
    enum err e = password_read(json_string_value(json_object_get(msg, "name")), o->password_stdin, password,
                               sizeof password, why, SCHEMA_WHY);
    if (e == ERR_OK && json_object_set_new(msg, "password", json_string(password)) < 0) {
        snprintf(why, SCHEMA_WHY, "the password is not UTF-8");
        e = ERR_CONFIG;
    }
    OPENSSL_cleanse(password, sizeof password);
    return e;
}

static int admin_run(const struct words *w, const struct admin_options *o, enum admin_box kind, json_t *msg)
{
    struct box box;
    char why[SCHEMA_WHY];
    json_t *answer;
    enum err e = box_open(&box, o->dir, o->run_dir, why);
    if (e == ERR_OK)
        e = box_set_state(&box, o->state_dir, why);
    if (e == ERR_OK && w->password)
        e = admin_add_password(msg, o, why);
    if (e != ERR_OK) {
        json_decref(msg);
        return admin_failed(why);
    }
    if (admin_ask(&box, kind, msg, &answer, why) != ERR_OK)
        return admin_failed(why);
    admin_show(o, answer);
    json_decref(answer);
    return EXIT_OK;
}

int admin_command(int argc, char **argv, enum admin_box kind)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"state-dir", required_argument, NULL, 's'},
                                            {"role", required_argument, NULL, 'o'},
                                            {"days", required_argument, NULL, 'y'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"password-stdin", no_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *name = program_invocation_short_name;
    struct admin_options o = {.dir = BOX_DIR};
    int option, status = EXIT_OK;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'h')
            return printf(help, name, name, name, name, name, name, name, name, name) < 0 ? EXIT_FAILED
                                                                                          : EXIT_OK;
        status = admin_option(&o, option);
        if (status != EXIT_OK)
            return status;
    }
    const struct words *w = admin_words(argc, argv, &status);
    json_t *msg = w ? admin_message(w, &o, argc, argv, &status) : NULL;
    if (!msg)
        return status;
    umask(077);
    return admin_run(w, &o, kind, msg);
}
