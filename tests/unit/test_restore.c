/* What a backup that somebody else made does to who restores it: nothing but what it says. */
#include <check.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/backup.h"
#include "common/backup_command.h"
#include "common/backup_options.h"
#include "common/file.h"
#include "tests/unit/unit.h"

#define KEY   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
#define NONCE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char passphrase[] = "correct horse battery staple";
static char dir[64], said[8192];

static const char *at(const char *name)
{
    return unit_path(dir, name);
}

static void put(struct buf *text, const char *name, const char *data)
{
    struct backup_member m = {.mode = 0600, .data = (const uint8_t *)data, .n = strlen(data)};
    snprintf(m.name, sizeof m.name, "%s", name);
    ck_assert_int_eq(backup_put(text, &m), ERR_OK);
}

/* A backup of an edge, with this manifest and this file (NULL: none besides those that it needs), in a file of
 * its own beside that of its passphrase. */
static void setup(const char *manifest, const char *also)
{
    struct buf text, sealed;
    char why[512];
    snprintf(dir, sizeof dir, "/tmp/stile-restore-XXXXXX");
    ck_assert(mkdtemp(dir) != NULL && chmod(dir, 0755) == 0);
    buf_init(&text, BACKUP_MAX);
    buf_init(&sealed, backup_sealed_size(BACKUP_MAX));
    put(&text, BACKUP_MANIFEST, manifest);
    put(&text, "box/identity", "edge1\n");
    put(&text, "box/stile.json",
        "{\"join_url\":\"https://join.example.com\",\"edges\":[{\"name\":\"edge1\",\"ssh\":\"192.0.2.1\","
        "\"host_key\":\"" KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}],\"cores\":[{\"name\":\"core1\","
        "\"key\":\"" KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\"}]}");
    put(&text, "box/secrets.json", "{\"turn_nonce_key\":\"" NONCE "\"}");
    put(&text, "state/webroot/token", "an answer");
    if (also)
        put(&text, also, "what nobody has judged");
    ck_assert_int_eq(backup_seal(buf_data(&text), buf_len(&text), passphrase, &sealed), ERR_OK);
    ck_assert_int_eq(file_write(at("backup"), buf_data(&sealed), buf_len(&sealed), 0600, why, sizeof why), ERR_OK);
    ck_assert_int_eq(file_write(at("words"), passphrase, strlen(passphrase), 0600, why, sizeof why), ERR_OK);
    buf_free(&text);
    buf_free(&sealed);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

/* The status of `restore`; what it says is in said. */
static int restore(void)
{
    char box[128], file[128], words[128];
    char *argv[] = {(char[]){"restore"}, file, (char[]){"--dir"}, box, (char[]){"--passphrase-file"}, words,
                    (char[]){"--user"}, (char[]){"nobody"}, NULL};
    int status, out[2];
    snprintf(box, sizeof box, "%s", at("box"));
    snprintf(file, sizeof file, "%s", at("backup"));
    snprintf(words, sizeof words, "%s", at("words"));
    ck_assert_int_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        status = restore_command(8, argv, "stile-edge");
        fflush(stdout);
        _exit(status);
    }
    close(out[1]);
    ssize_t n, used = 0;
    while ((n = read(out[0], said + used, sizeof said - 1 - (size_t)used)) > 0)
        used += n;
    said[used] = '\0';
    close(out[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(test_all_of_it)
{
    struct stat st;
    setup("{\"program\":\"stile-edge\"}", NULL);
    ck_assert_msg(restore() == 0, "%s", said);
    ck_assert_int_eq(stat(at("box/state/webroot/token"), &st), 0);
    if (geteuid() == 0)
        ck_assert_uint_eq(st.st_uid, getpwnam("nobody")->pw_uid);
    teardown();
}
END_TEST

/* Folders of the account may lead elsewhere at any moment: root has nothing to write there. */
START_TEST(test_writes_as_the_account)
{
    const struct passwd *pw = getpwnam("nobody");
    if (geteuid() != 0 || !pw)
        return;
    setup("{\"program\":\"stile-edge\"}", NULL);
    const char *const folders[] = {"box", "box/state", "box/state/webroot"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(mkdir(at(folders[i]), 0700), 0);
        ck_assert_int_eq(chown(at(folders[i]), pw->pw_uid, pw->pw_gid), 0);
    }
    ck_assert_int_eq(chmod(at("box/state/webroot"), 0500), 0); /* root would not mind */
    ck_assert_int_ne(restore(), 0);
    ck_assert_msg(strstr(said, "webroot/token: cannot be written: Permission denied") != NULL, "%s", said);
    teardown();
}
END_TEST

START_TEST(test_words_of_it)
{
    setup("{\"program\":\"\\u001b]0;owned\\u0007\"}", NULL);
    ck_assert_int_ne(restore(), 0);
    ck_assert_msg(strstr(said, "owned?, not of stile-edge") != NULL, "%s", said);
    ck_assert_msg(!strpbrk(said, "\033\a"), "%s", said);
    teardown();
}
END_TEST

/* Databases are judged under their own names: not what lies beside one, nor what gets to it another way. */
START_TEST(test_nothing_behind_the_judge)
{
    static const char *const names[] = {"state/stile.db-wal", "state/stile.db-journal", "state/events.db-shm",
                                        "box/state/stile.db", "box/run/x",              "state/stile.db/x"};
    struct stat st;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setup("{\"program\":\"stile-edge\"}", names[i]);
        ck_assert_msg(restore() != 0, "%s: %s", names[i], said);
        ck_assert_msg(strstr(said, names[i]) && strstr(said, "which no backup has"), "%s: %s", names[i], said);
        ck_assert_int_ne(stat(at("box"), &st), 0);
        teardown();
    }
}
END_TEST

UNIT_MAIN("restore", test_all_of_it, test_nothing_behind_the_judge, test_writes_as_the_account, test_words_of_it)
