/* Files and folders that root makes for somebody else, in folders of theirs. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/box.h"
#include "common/file.h"
#include "tests/unit/unit.h"

static char dir[64], why[SCHEMA_WHY];
static const uid_t somebody = 61234;

static const char *at(const char *name)
{
    return unit_path(dir, name);
}

static void setup(void)
{
    snprintf(dir, sizeof dir, "/tmp/stile-file-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct stat stat_of(const char *path)
{
    struct stat st;
    ck_assert_msg(lstat(path, &st) == 0, "%s", path);
    return st;
}

START_TEST(test_write_and_read)
{
    char *text;
    size_t n;
    setup();
    ck_assert_int_eq(file_write(at("a"), "one", 3, 0644, why, sizeof why), ERR_OK);
    ck_assert_int_eq(file_write(at("a"), "two!", 4, 0600, why, sizeof why), ERR_OK);
    ck_assert_uint_eq(stat_of(at("a")).st_mode & 07777, 0600);
    ck_assert_int_eq(file_read_secret(at("a"), 100, &text, &n, why, sizeof why), ERR_OK);
    ck_assert_str_eq(text, "two!");
    ck_assert_uint_eq(n, 4);
    file_wipe(text);
    ck_assert_int_eq(file_read(at("a"), 3, &text, NULL, why, sizeof why), ERR_TOO_LONG);
    ck_assert_int_eq(file_read(at("absent"), 3, &text, NULL, why, sizeof why), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(why, "absent"));
    ck_assert_int_eq(chmod(at("a"), 0640), 0);
    ck_assert_int_eq(file_read_secret(at("a"), 100, &text, NULL, why, sizeof why), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "chmod 600"));
    teardown();
}
END_TEST

/* A daemon that reads its files again waits for nobody; a tool takes what is typed behind a command. */
START_TEST(test_pipes)
{
    char *text;
    setup();
    ck_assert_int_eq(mkfifo(at("pipe"), 0600), 0);
    ck_assert_int_eq(file_read(at("pipe"), 100, &text, NULL, why, sizeof why), ERR_REFUSED);
    ck_assert_int_eq(file_read_secret(at("pipe"), 100, &text, NULL, why, sizeof why), ERR_REFUSED);
    int ends[2];
    char path[64];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "typed", 5), 5);
    close(ends[1]);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    ck_assert_msg(file_read_secret_any(path, 100, &text, NULL, why, sizeof why) == ERR_OK, "%s", why);
    ck_assert_str_eq(text, "typed");
    file_wipe(text);
    close(ends[0]);
    teardown();
}
END_TEST

/* The daemon's user, taken over, waits for root to run `join` or `run` again: links of its making lead root
 * nowhere. */
START_TEST(test_links_do_not_lead_root_away)
{
    if (geteuid() != 0)
        return;
    setup();
    ck_assert_int_eq(file_write(at("precious"), "root's", 6, 0644, why, sizeof why), ERR_OK);
    ck_assert_int_eq(mkdir(at("precious.d"), 0755), 0);
    ck_assert_int_eq(symlink("precious", at("key")), 0);
    ck_assert_int_eq(symlink("precious.d", at("run")), 0);
    ck_assert_int_eq(file_write_as(at("key"), "new", 3, 0600, somebody, somebody, why, sizeof why), ERR_OK);
    ck_assert_uint_eq(stat_of(at("precious")).st_uid, 0);
    ck_assert_int_eq(stat_of(at("precious")).st_size, 6);
    ck_assert(S_ISREG(stat_of(at("key")).st_mode));
    ck_assert_uint_eq(stat_of(at("key")).st_uid, somebody);
    ck_assert_int_eq(file_make_dir_as(at("run"), 0700, somebody, somebody, why, sizeof why), ERR_EXISTS);
    ck_assert_uint_eq(stat_of(at("precious.d")).st_uid, 0);
    ck_assert_int_eq(file_make_dir_as(at("key"), 0700, somebody, somebody, why, sizeof why), ERR_EXISTS);
    teardown();
}
END_TEST

START_TEST(test_folders_in_use_are_not_taken_over)
{
    if (geteuid() != 0)
        return;
    setup();
    ck_assert_int_eq(file_make_dir_as(at("new"), 0750, somebody, somebody, why, sizeof why), ERR_OK);
    ck_assert_uint_eq(stat_of(at("new")).st_uid, somebody);
    ck_assert_int_eq(file_write(at("new/file"), "x", 1, 0644, why, sizeof why), ERR_OK);
    ck_assert_int_eq(file_make_dir_as(at("new"), 0750, somebody, somebody, why, sizeof why), ERR_OK);
    ck_assert_int_eq(mkdir(at("empty"), 0755), 0);
    ck_assert_int_eq(file_make_dir_as(at("empty"), 0750, somebody, somebody, why, sizeof why), ERR_OK);
    ck_assert_int_eq(file_make_dir_as(dir, 0750, somebody, somebody, why, sizeof why), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "holds files"));
    ck_assert_uint_eq(stat_of(dir).st_uid, 0);
    teardown();
}
END_TEST

START_TEST(test_box_paths_are_absolute)
{
    struct box box;
    char path[PATH_MAX], here[PATH_MAX];
    setup();
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(box_open(&box, ".", "sockets", why), ERR_OK);
    ck_assert_str_eq(box.dir, here);
    snprintf(path, sizeof path, "%.4000s/sockets", here);
    ck_assert_str_eq(box.run, path);
    ck_assert_int_eq(box_open(&box, ".", NULL, why), ERR_OK);
    snprintf(path, sizeof path, "%.4000s/run", here);
    ck_assert_str_eq(box.run, path);
    ck_assert_int_eq(box_open(&box, "absent", NULL, why), ERR_NOT_FOUND);
    ck_assert_int_eq(box_load(&box, why), ERR_NOT_FOUND);
    box_close(&box);
    teardown();
}
END_TEST

UNIT_MAIN("file", test_write_and_read, test_pipes, test_links_do_not_lead_root_away,
          test_folders_in_use_are_not_taken_over, test_box_paths_are_absolute)
