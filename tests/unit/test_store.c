/* The local database: what was acknowledged is there, whatever happens to the process, the disk or the file.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/schema.h"
#include "common/store.h"
#include "tests/unit/unit.h"

static char dir[64], path[128], why[SCHEMA_WHY];

static const char *const steps_one[] = {
    "CREATE TABLE thing (name TEXT PRIMARY KEY NOT NULL, n INTEGER NOT NULL, bytes BLOB) STRICT;", NULL};
static const char *const steps_two[] = {
    steps_one[0], "ALTER TABLE thing ADD COLUMN colour TEXT; UPDATE thing SET n = n + 1;", NULL};
static const char *const steps_bad[] = {steps_one[0],
                                        "UPDATE thing SET n = 0; CREATE TABLE thing (again TEXT);", NULL};
static const struct store_part one[] = {{"things", steps_one}}, two[] = {{"things", steps_two}},
                               bad[] = {{"things", steps_bad}};

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/stile-store-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/stile.db", dir);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct store *open_good(const struct store_part *part)
{
    struct store *s = NULL;
    enum err e = store_open(path, part, 1, &s, why);
    ck_assert_msg(e == ERR_OK, "%s", why);
    return s;
}

static enum err put(struct store *s, const char *name, int64_t n)
{
    const struct store_value row[] = {STORE_TEXT(name), STORE_INTEGER(n), STORE_BLOB("\0\1", 2)};
    return store_run(s, "INSERT INTO thing (name, n, bytes) VALUES (?1, ?2, ?3)", row, 3, NULL, NULL, why);
}

static enum err on_number(void *ctx, const struct store_row *row, char *problem)
{
    (void)problem;
    *(int64_t *)ctx = store_row_integer(row, 0);
    return ERR_OK;
}

static int64_t number(struct store *s, const char *sql)
{
    int64_t n = -1;
    enum err e = store_run(s, sql, NULL, 0, on_number, &n, why);
    ck_assert_msg(e == ERR_OK, "%s", why);
    return n;
}

START_TEST(test_durable_settings_and_modes)
{
    struct stat st;
    setup();
    umask(0); /* the modes are not the umask's merit */
    struct store *s = open_good(one);
    ck_assert_int_eq(put(s, "a", 1), ERR_OK);
    const char *const files[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char file[160];
        snprintf(file, sizeof file, "%s%s", path, files[i]);
        ck_assert_msg(stat(file, &st) == 0, "%s", file);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    ck_assert_int_eq(number(s, "PRAGMA synchronous"), 3);
    ck_assert_int_eq(number(s, "PRAGMA secure_delete"), 1);
    ck_assert_int_eq(put(s, "a", 1), ERR_EXISTS);
    ck_assert_int_eq(store_run(s, "SELECT nonsense", NULL, 0, NULL, NULL, why), ERR_SYSTEM);
    store_close(s);
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(store_open(path, one, 1, &s, why), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "chmod 600"));
    ck_assert_int_eq(chmod(path, 0600), 0);
    char link[160];
    snprintf(link, sizeof link, "%s/link", dir);
    ck_assert_int_eq(symlink(path, link), 0);
    ck_assert_int_eq(store_open(link, one, 1, &s, why), ERR_REFUSED);
    snprintf(link, sizeof link, "%s/absent/stile.db", dir);
    ck_assert_int_eq(store_open(link, one, 1, &s, why), ERR_NOT_FOUND);
    teardown();
}
END_TEST

struct read_back {
    char name[600];
    unsigned char bytes[2];
    bool right, wrong;
};

static enum err on_thing(void *ctx, const struct store_row *row, char *problem)
{
    struct read_back *r = ctx;
    unsigned char three[3];
    (void)problem;
    snprintf(r->name, sizeof r->name, "%s", store_row_text(row, 0));
    r->right = store_row_blob(row, 1, r->bytes, 2);
    r->wrong = store_row_blob(row, 1, three, 3);
    return ERR_OK;
}

/* Values are values, whatever they look like. */
START_TEST(test_hostile_values)
{
    static const char *const names[] = {"'; DROP TABLE thing; --",
                                        "\"",
                                        "%s%n%p",
                                        "a\\'b",
                                        "Zo\xc3\xab \xf0\x9f\x90\x8c",
                                        "?1",
                                        ":name",
                                        "NULL",
                                        "x' OR '1'='1",
                                        "\xff\xfe"};
    setup();
    struct store *s = open_good(one);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct read_back r = {.wrong = true};
        const struct store_value name = STORE_TEXT(names[i]);
        ck_assert_msg(put(s, names[i], 1) == ERR_OK, "%s", why);
        ck_assert_int_eq(
            store_run(s, "SELECT name, bytes FROM thing WHERE name = ?1", &name, 1, on_thing, &r, why),
            ERR_OK);
        ck_assert_str_eq(r.name, names[i]);
        ck_assert(r.right && !r.wrong);
        ck_assert_uint_eq(r.bytes[1], 1);
    }
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), (int64_t)(sizeof names / sizeof *names));
    store_close(s);
    teardown();
}
END_TEST

START_TEST(test_versions)
{
    struct store *s;
    setup();
    s = open_good(one);
    ck_assert_int_eq(put(s, "a", 1), ERR_OK);
    store_close(s);
    ck_assert_int_ne(store_open(path, bad, 1, &s, why),
                     ERR_OK); /* a step that fails takes back what went before */
    s = open_good(one);
    ck_assert_int_eq(number(s, "SELECT n FROM thing"), 1);
    store_close(s);
    s = open_good(two);
    ck_assert_int_eq(number(s, "SELECT n FROM thing WHERE colour IS NULL"), 2);
    store_close(s);
    s = open_good(two); /* once only */
    ck_assert_int_eq(number(s, "SELECT n FROM thing"), 2);
    store_close(s);
    ck_assert_int_eq(store_open(path, one, 1, &s, why), ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(why, "newer Stile"));
    teardown();
}
END_TEST

static void write_over(const char *file, off_t at, size_t n)
{
    char junk[4096];
    memset(junk, 0x5a, sizeof junk);
    int fd = open(file, O_WRONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, junk, n, at), (ssize_t)n);
    close(fd);
}

START_TEST(test_damage)
{
    struct store *s;
    setup();
    s = open_good(one);
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "thing %d", i);
        ck_assert_int_eq(put(s, name, i), ERR_OK);
    }
    store_close(s);
    write_over(path, 4096 * 3, 4096);
    ck_assert_int_eq(store_open(path, one, 1, &s, why), ERR_MALFORMED);
    ck_assert_msg(strstr(why, "damaged") && strstr(why, "backup"), "%s", why);
    write_over(path, 0, 100);
    ck_assert_int_eq(store_open(path, one, 1, &s, why), ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(why, "damaged"));
    sqlite3 *other;
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "CREATE TABLE address_book (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(store_open(path, one, 1, &s, why), ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(why, "another program"));
    teardown();
}
END_TEST

START_TEST(test_locked_and_changed_elsewhere)
{
    sqlite3 *other;
    setup();
    struct store *s = open_good(one);
    ck_assert(!store_changed_elsewhere(s));
    ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(other, "BEGIN IMMEDIATE; INSERT INTO thing VALUES ('theirs', 1, NULL)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(put(s, "mine", 1), ERR_AGAIN);
    ck_assert_msg(strstr(why, "locked") && strstr(why, "try again"), "%s", why);
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), 0); /* reading goes on */
    ck_assert_int_eq(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    ck_assert(store_changed_elsewhere(s));
    ck_assert(!store_changed_elsewhere(s));
    ck_assert_int_eq(put(s, "mine", 1), ERR_OK);
    ck_assert(!store_changed_elsewhere(s));
    store_close(s);
    teardown();
}
END_TEST

/* Adds rows until one is refused; how many were added. */
static int64_t fill(struct store *s, enum err *e)
{
    char name[32];
    int64_t n = 0;
    for (*e = ERR_OK; n < 5000; n += *e == ERR_OK) {
        snprintf(name, sizeof name, "thing %lld", (long long)n);
        *e = put(s, name, n);
        if (*e != ERR_OK)
            break;
    }
    return n;
}

/* A disk of 256 KiB. */
START_TEST(test_full_disk)
{
    enum err e;
    char ballast[160], block[4096] = {0};
    setup();
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=700") < 0)
        return; /* takes root; the next test stands for it */
    struct store *s = open_good(one);
    snprintf(ballast, sizeof ballast, "%s/ballast", dir);
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (int i = 0; i < 24; i++) {
        ssize_t written = write(fd, block, sizeof block);
        ck_assert_int_gt(written, 0);
    }
    close(fd);
    int64_t n = fill(s, &e);
    ck_assert_msg(e == ERR_FULL, "%s (%lld)", why, (long long)n);
    ck_assert_msg(strstr(why, "no room") != NULL, "%s", why);
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), n);
    ck_assert_int_eq(put(s, "still", 1), ERR_FULL);
    ck_assert_int_eq(unlink(ballast), 0);
    ck_assert_msg(put(s, "after", 1) == ERR_OK, "%s", why); /* room was made */
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), n + 1);
    store_close(s);
    s = open_good(one);
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), n + 1);
    store_close(s);
    ck_assert_int_eq(umount(dir), 0);
    teardown();
}
END_TEST

/* The same with a file that may not grow: a quota. */
START_TEST(test_quota)
{
    struct stat st;
    char wal[160];
    enum err e;
    setup();
    struct store *s = open_good(one);
    ck_assert_int_eq(put(s, "before", 1), ERR_OK);
    snprintf(wal, sizeof wal, "%s-wal", path);
    ck_assert_int_eq(stat(wal, &st), 0);
    struct rlimit limit, old;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = old;
    limit.rlim_cur = (rlim_t)st.st_size + 3 * 4096;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int64_t n = fill(s, &e);
    ck_assert_msg(e == ERR_FULL, "%s (%lld)", why, (long long)n);
    ck_assert_msg(strstr(why, "nothing was changed") != NULL, "%s", why);
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), n + 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
    ck_assert_msg(put(s, "after", 1) == ERR_OK, "%s", why); /* room was made */
    store_close(s);
    s = open_good(one);
    ck_assert_int_eq(number(s, "SELECT count(*) FROM thing"), n + 2);
    store_close(s);
    teardown();
}
END_TEST

/* Says each row's number on the pipe once it is acknowledged, until it is killed. */
static _Noreturn void writer(int out, int64_t from)
{
    struct store *s;
    char name[32];
    if (store_open(path, one, 1, &s, why) != ERR_OK)
        _exit(1);
    for (int64_t i = from;; i++) {
        snprintf(name, sizeof name, "thing %lld", (long long)i);
        if (put(s, name, i) != ERR_OK || write(out, &i, sizeof i) != sizeof i)
            _exit(2);
    }
}

START_TEST(test_killed_writers)
{
    int64_t next = 0;
    setup();
    for (int round = 0; round < 25; round++) {
        int pipes[2], status;
        int64_t said, last = next - 1;
        ck_assert_int_eq(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0)
            writer(pipes[1], next);
        close(pipes[1]);
        for (int i = 0; i < 1 + round % 7 && read(pipes[0], &said, sizeof said) == sizeof said; i++)
            last = said;
        kill(pid, SIGKILL);
        while (read(pipes[0], &said, sizeof said) == sizeof said)
            last = said;
        waitpid(pid, &status, 0);
        close(pipes[0]);
        ck_assert(WIFSIGNALED(status));
        struct store *s = open_good(one);
        int64_t count = number(s, "SELECT count(*) FROM thing");
        ck_assert_int_ge(last, next);
        ck_assert_int_ge(count, last + 1); /* all that was acknowledged, */
        ck_assert_int_le(count, last + 2); /* and at most the one that was under way */
        ck_assert_int_eq(number(s, "SELECT max(n) FROM thing"), count - 1);
        next = count;
        store_close(s);
    }
    teardown();
}
END_TEST

UNIT_MAIN("store", test_durable_settings_and_modes, test_hostile_values, test_versions, test_damage,
          test_locked_and_changed_elsewhere, test_full_disk, test_quota, test_killed_writers)
