/* The local credentials database: what is kept, what is refused, what is there after a crash; and what
 * `stile-edge user` is answered. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "edge/user_request.h"
#include "edge/users.h"
#include "proto/stun_ephemeral.h"
#include "tests/unit/unit.h"

static char dir[64], path[128], why[SCHEMA_WHY];

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/stile-users-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/stile.db", dir);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct users *open_good(void)
{
    struct users *u = NULL;
    enum err e = users_open(path, &u, why);
    ck_assert_msg(e == ERR_OK, "%s", why);
    return u;
}

static bool file_has(const char *file, const char *text)
{
    char command[256];
    snprintf(command, sizeof command, "grep -qaF '%s' %s", text, file);
    return system(command) == 0;
}

START_TEST(test_life_of_a_user)
{
    struct stun_key key;
    setup();
    struct users *u = open_good();
    ck_assert_int_eq(users_add(u, "bert", "example.com", "correct horse", 100, why), ERR_OK);
    ck_assert_int_eq(users_add(u, "anna", "example.com", "battery staple", 101, why), ERR_OK);
    ck_assert_int_eq(users_add(u, "anna", "example.com", "again", 102, why), ERR_EXISTS);
    ck_assert_int_eq(users_set_enabled(u, "bert", false, 103, why), ERR_OK);
    ck_assert_int_eq(users_set_enabled(u, "carl", false, 103, why), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(why, "carl"));
    ck_assert_int_eq(users_set_password(u, "anna", "example.org", "Tr0ub4dor", 104, why), ERR_OK);
    ck_assert_int_eq(users_set_password(u, "carl", "example.org", "x", 104, why), ERR_NOT_FOUND);
    users_close(u);

    u = open_good();
    ck_assert_uint_eq(users_count(u), 2);
    const struct user *anna = users_at(u, 0), *bert = users_find(u, "bert");
    ck_assert_str_eq(anna->name, "anna");
    ck_assert_str_eq(anna->realm, "example.org");
    ck_assert(anna->enabled);
    ck_assert_int_eq(anna->created, 101);
    ck_assert_int_eq(anna->changed, 104);
    ck_assert_int_eq(stun_long_term_key(STUN_ALGORITHM_MD5, "anna", "example.org", "Tr0ub4dor", &key),
                     ERR_OK);
    ck_assert_mem_eq(anna->key, key.bytes, sizeof anna->key);
    ck_assert_int_eq(stun_long_term_key(STUN_ALGORITHM_SHA256, "anna", "example.org", "Tr0ub4dor", &key),
                     ERR_OK);
    ck_assert_mem_eq(anna->key_sha256, key.bytes, sizeof anna->key_sha256);
    ck_assert(!bert->enabled);
    ck_assert_int_eq(bert->created, 100);
    ck_assert_ptr_null(users_find(u, "carl"));
    ck_assert_uint_eq(users_behind(u, ""), 0);
    ck_assert_uint_eq(users_behind(u, "anna"), 1);
    ck_assert_uint_eq(users_behind(u, "b"), 1);
    ck_assert_uint_eq(users_behind(u, "bert"), 2);
    ck_assert_int_eq(users_remove(u, "anna", why), ERR_OK);
    ck_assert_int_eq(users_remove(u, "anna", why), ERR_NOT_FOUND);
    users_close(u);

    ck_assert(file_has(path, "bert")); /* so the next lines say something */
    ck_assert_msg(!file_has(path, "correct horse") && !file_has(path, "Tr0ub4dor"), "a password was kept");
    ck_assert_msg(!file_has(path, "anna"), "the name of a removed user is still in the file");
    teardown();
}
END_TEST

START_TEST(test_names)
{
    static const char *const good[] = {
        "'; DROP TABLE turn_user; --", "\"", "%s%n", "Zo\xc3\xab", "a b", "?1", "\\", "NULL"};
    static const char *const wrong[] = {"", "a:b", "a\nb", "a\tb", "\x7f", "\x01"};
    char longest[USERS_NAME_MAX + 2];
    setup();
    struct users *u = open_good();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(users_add(u, good[i], "r", "p'\"%s\\", 1, why) == ERR_OK, "%s: %s", good[i], why);
        ck_assert_int_eq(users_set_enabled(u, good[i], false, 2, why), ERR_OK);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(users_add(u, wrong[i], "r", "p", 1, why), ERR_CONFIG);
    ck_assert_int_eq(users_add(u, "x", "r", "", 1, why), ERR_CONFIG);
    ck_assert_int_eq(users_add(u, "x", "r", "a\nb", 1, why), ERR_CONFIG);
    memset(longest, 'n', sizeof longest);
    longest[USERS_NAME_MAX + 1] = '\0';
    ck_assert_int_eq(users_add(u, longest, "r", "p", 1, why), ERR_CONFIG);
    longest[USERS_NAME_MAX] = '\0';
    ck_assert_int_eq(users_add(u, longest, "r", "p", 1, why), ERR_OK);
    users_close(u);
    u = open_good();
    ck_assert_uint_eq(users_count(u), 1 + sizeof good / sizeof *good);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(users_find(u, good[i]) && !users_find(u, good[i])->enabled, "%s", good[i]);
        ck_assert_int_eq(users_remove(u, good[i], why), ERR_OK);
    }
    ck_assert_uint_eq(users_count(u), 1);
    users_close(u);
    teardown();
}
END_TEST

START_TEST(test_changes_of_others)
{
    bool changed;
    setup();
    struct users *u = open_good(), *other = open_good();
    ck_assert_int_eq(users_add(u, "mine", "r", "p", 1, why), ERR_OK);
    ck_assert_int_eq(users_refresh(u, &changed, why), ERR_OK);
    ck_assert(!changed);
    ck_assert_int_eq(users_add(other, "theirs", "r", "p", 1, why), ERR_OK);
    ck_assert_ptr_null(users_find(u, "theirs"));
    ck_assert_int_eq(users_refresh(u, &changed, why), ERR_OK);
    ck_assert(changed);
    ck_assert_ptr_nonnull(users_find(u, "theirs"));
    ck_assert_ptr_nonnull(users_find(u, "mine"));
    users_close(other);
    users_close(u);
    teardown();
}
END_TEST

/* The file breaks under a running edge: what it knows stays. */
START_TEST(test_broken_file)
{
    char junk[16384];
    struct users *u, *broken;
    setup();
    u = open_good();
    ck_assert_int_eq(users_add(u, "anna", "r", "p", 1, why), ERR_OK);
    users_close(u);
    u = open_good();
    memset(junk, 0x5a, sizeof junk);
    int fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd, junk, sizeof junk), (ssize_t)sizeof junk);
    close(fd);
    ck_assert_ptr_nonnull(users_find(u, "anna"));
    ck_assert_int_eq(users_open(path, &broken, why), ERR_MALFORMED);
    ck_assert_msg(strstr(why, "damaged") && strstr(why, "backup"), "%s", why);
    ck_assert_ptr_nonnull(users_find(u, "anna"));
    users_close(u);
    teardown();
}
END_TEST

static _Noreturn void adder(int out, unsigned from)
{
    struct users *u;
    char name[32];
    if (users_open(path, &u, why) != ERR_OK)
        _exit(1);
    for (unsigned i = from;; i++) {
        snprintf(name, sizeof name, "user%06u", i);
        if (users_add(u, name, "r", "p", i, why) != ERR_OK || write(out, &i, sizeof i) != sizeof i)
            _exit(2);
    }
}

START_TEST(test_killed_adders)
{
    unsigned next = 0;
    setup();
    for (int round = 0; round < 15; round++) {
        int pipes[2], status;
        unsigned said, last = 0;
        ck_assert_int_eq(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0)
            adder(pipes[1], next);
        close(pipes[1]);
        for (int i = 0; i < 1 + round % 5 && read(pipes[0], &said, sizeof said) == sizeof said; i++)
            last = said;
        kill(pid, SIGKILL);
        while (read(pipes[0], &said, sizeof said) == sizeof said)
            last = said;
        waitpid(pid, &status, 0);
        close(pipes[0]);
        ck_assert(WIFSIGNALED(status));
        struct users *u = open_good();
        ck_assert_uint_ge(users_count(u), last + 1);
        ck_assert_uint_le(users_count(u), last + 2);
        next = (unsigned)users_count(u);
        for (unsigned i = 0; i < next; i++)
            ck_assert_int_eq(users_at(u, i)->created, i);
        users_close(u);
    }
    teardown();
}
END_TEST

/* Requests ----------------------------------------------------------------------------------------------- */

static const char secrets_text[] =
    "{\"turn_users\":[{\"name\":\"shared\",\"password\":\"p\"}],\"turn_shared_secrets\":[\"newest "
    "secret\",\"older secret\"],"
    "\"turn_nonce_key\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}";

struct asked {
    struct user_book book;
    struct secrets secrets;
    const char *changed;
};

static void ask_setup(struct asked *a)
{
    setup();
    *a = (struct asked){0};
    ck_assert_int_eq(secrets_parse("s", secrets_text, &a->secrets, why), ERR_OK);
    a->book = (struct user_book){open_good(), "", &a->secrets, "r"};
}

static void ask_teardown(struct asked *a)
{
    users_close(a->book.users);
    secrets_free(&a->secrets);
    teardown();
}

/* msg is stolen; the answer's "done" or "reason" is copied into why. */
static json_t *ask(struct asked *a, json_t *msg)
{
    static char changed[600];
    json_t *answer = user_request(&a->book, msg, 1000, &a->changed);
    ck_assert_ptr_nonnull(answer);
    const char *text = json_string_value(json_object_get(answer, "done"));
    if (!text)
        text = json_string_value(json_object_get(answer, "reason"));
    snprintf(why, sizeof why, "%s", text ? text : "");
    if (a->changed) {
        snprintf(changed, sizeof changed, "%s", a->changed);
        a->changed = changed;
    }
    json_decref(msg);
    return answer;
}

static bool refused(struct asked *a, json_t *msg, const char *words)
{
    json_t *answer = ask(a, msg);
    bool is = json_object_get(answer, "reason") && !a->changed && strstr(why, words);
    json_decref(answer);
    return is;
}

static bool done(struct asked *a, json_t *msg, const char *name)
{
    json_t *answer = ask(a, msg);
    bool is = json_object_get(answer, "done") && a->changed && strcmp(a->changed, name) == 0;
    json_decref(answer);
    return is;
}

#define ASK(verb, name) json_pack("{ss ss ss}", "type", "user", "verb", verb, "name", name)
#define ADD(name, password)                                                                                  \
    json_pack("{ss ss ss ss}", "type", "user", "verb", "add", "name", name, "password", password)

START_TEST(test_requests)
{
    struct asked a;
    ask_setup(&a);
    ck_assert_msg(done(&a, ADD("anna", "p"), "anna"), "%s", why);
    ck_assert_msg(refused(&a, ADD("anna", "p"), "exists"), "%s", why);
    ck_assert_msg(refused(&a, ADD("", "p"), "user name"), "%s", why);
    ck_assert_msg(refused(&a, ADD("bert", ""), "password"), "%s", why);
    ck_assert_msg(refused(&a, ADD("shared", "p"), "secrets.json"), "%s", why);
    ck_assert_msg(refused(&a, ASK("remove", "shared"), "secrets.json"), "%s", why);
    ck_assert_msg(done(&a, ASK("disable", "anna"), "anna"), "%s", why);
    ck_assert(!users_find(a.book.users, "anna")->enabled);
    ck_assert_msg(done(&a, ASK("enable", "anna"), "anna"), "%s", why);
    ck_assert_msg(refused(&a, ASK("enable", "nobody"), "no user"), "%s", why);
    ck_assert_msg(refused(&a, ASK("promote", "anna"), "unknown request"), "%s", why);
    ck_assert_msg(refused(&a, json_pack("{ss}", "type", "user"), "unknown request"), "%s", why);
    ck_assert_msg(refused(&a, json_pack("{ss si}", "verb", "remove", "name", 5), "user name"), "%s", why);
    char wide[200] = "x"; /* a name that words about it cut in the middle of a character */
    while (strlen(wide) < 150)
        strcat(wide, "\u00fc");
    ck_assert_msg(refused(&a, ASK("enable", wide), "no user"), "%s", why);
    ck_assert_msg(done(&a, ASK("remove", "anna"), "anna"), "%s", why);
    ck_assert_ptr_null(users_find(a.book.users, "anna"));
    ask_teardown(&a);
}
END_TEST

START_TEST(test_lists)
{
    struct asked a;
    char name[32], after[32] = "";
    size_t seen = 0, parts = 0;
    ask_setup(&a);
    for (int i = 0; i < USER_LIST_MOST + 5; i++) {
        snprintf(name, sizeof name, "user%05d", i);
        ck_assert_int_eq(users_add(a.book.users, name, i ? "r" : "elsewhere", "p", 1, why), ERR_OK);
    }
    ck_assert_int_eq(users_set_enabled(a.book.users, "user00001", false, 1, why), ERR_OK);
    for (bool more = true; more; parts++) {
        json_t *answer = ask(&a, json_pack("{ss ss}", "verb", "list", "after", after));
        json_t *users = json_object_get(answer, "users"), *row;
        size_t i;
        more = json_is_true(json_object_get(answer, "more"));
        json_array_foreach (users, i, row) {
            const char *state = json_string_value(json_object_get(row, "state"));
            snprintf(after, sizeof after, "%s", json_string_value(json_object_get(row, "name")));
            ck_assert_str_eq(state, strcmp(after, "user00000") == 0   ? "other realm"
                                    : strcmp(after, "user00001") == 0 ? "disabled"
                                                                      : "enabled");
            ck_assert_ptr_null(json_object_get(row, "key"));
            seen++;
        }
        json_decref(answer);
    }
    ck_assert_uint_eq(parts, 2);
    ck_assert_uint_eq(seen, USER_LIST_MOST + 6); /* with the one of secrets.json */
    ask_teardown(&a);
}
END_TEST

START_TEST(test_tokens)
{
    struct asked a;
    char password[STUN_EPHEMERAL_PASSWORD + 1];
    ask_setup(&a);
    users_close(a.book.users); /* tokens need no database */
    a.book.users = NULL;
    a.book.problem = "the database is damaged";
    json_t *answer = ask(&a, json_pack("{ss ss si}", "verb", "token", "name", "anna", "ttl", 60));
    ck_assert_str_eq(json_string_value(json_object_get(answer, "username")), "1060:anna");
    stun_ephemeral_password("newest secret", "1060:anna", 9, password);
    ck_assert_str_eq(json_string_value(json_object_get(answer, "password")), password);
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "expires")), 1060);
    json_decref(answer);
    answer = ask(&a, ASK("token", "anna"));
    ck_assert_int_eq(json_integer_value(json_object_get(answer, "expires")), 1000 + USER_TOKEN_TTL);
    json_decref(answer);
    ck_assert(refused(&a, json_pack("{ss ss si}", "verb", "token", "name", "a", "ttl", 0), "a token lasts"));
    ck_assert(refused(&a, json_pack("{ss ss si}", "verb", "token", "name", "a", "ttl", -1), "a token lasts"));
    ck_assert(refused(
        &a, json_pack("{ss ss si}", "verb", "token", "name", "a", "ttl", USER_TOKEN_TTL_MAX + 1), "366"));
    ck_assert(refused(&a, ASK("token", "a:b"), "no colon"));
    ck_assert(refused(&a, ADD("anna", "p"), "the database is damaged"));
    ck_assert(refused(&a, json_pack("{ss}", "verb", "list"), "the database is damaged"));
    a.book.users = open_good();
    a.secrets.turn_shared_secrets.n = 0;
    ck_assert(refused(&a, ASK("token", "anna"), "turn_shared_secrets"));
    a.secrets.turn_shared_secrets.n = 2;
    ask_teardown(&a);
}
END_TEST

UNIT_MAIN("users", test_life_of_a_user, test_names, test_changes_of_others, test_broken_file,
          test_killed_adders, test_requests, test_lists, test_tokens)
