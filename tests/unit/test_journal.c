/* Events as the journal and as a syslog server get them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "common/journal.h"
#include "common/syslog_out.h"
#include "tests/unit/unit.h"

static char folder[64], path[80], got[16384];

/* A socket as the journal's. */
static int listener(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof folder, "/tmp/stile-journal-XXXXXX");
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void gone(int fd)
{
    close(fd);
    unlink(path);
    rmdir(folder);
}

static const char *hear(int fd)
{
    ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    got[n > 0 ? n : 0] = '\0';
    return got;
}

START_TEST(test_fields)
{
    int fd = listener();
    ck_assert(!journal_send(LOG_ERR, "core", "Early", "", "early"));
    ck_assert(journal_open(path));
    ck_assert(journal_send(LOG_ERR, "core", "Alarm Raised", "alarm=201 subject=\"a \\\"b\\\"\" empty=",
                           "core[7] event=\"Alarm Raised\" alarm=201"));
    hear(fd);
    static const char *const lines[] = {"MESSAGE=core[7] event=\"Alarm Raised\" alarm=201\n",
                                        "PRIORITY=3\n",
                                        "SYSLOG_IDENTIFIER=test_journal\n",
                                        "STILE_PROCESS=core\n",
                                        "STILE_EVENT=Alarm Raised\n",
                                        "STILE_ALARM=201\n",
                                        "STILE_SUBJECT=a \"b\"\n",
                                        "STILE_EMPTY=\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(got, lines[i]) != NULL, "no %s in %s", lines[i], got);
    ck_assert(journal_send(LOG_ERR, "core", "Two\nSTILE_USER=x", "", "two\nPRIORITY=0"));
    ck_assert_msg(!strstr(hear(fd), "STILE_USER") && !strstr(got, "PRIORITY=0"), "%s", got);
    gone(fd);
    ck_assert(!journal_send(LOG_ERR, "core", "Late", "", "late")); /* for stderr then */
    journal_close();
    ck_assert(!journal_open("/nowhere/at/all"));
}
END_TEST

START_TEST(test_never_waits)
{
    int fd = listener();
    bool sent = true;
    ck_assert(journal_open(path));
    for (int i = 0; i < 100000 && sent; i++)
        sent = journal_send(LOG_ERR, "core", "Flood", "n=1", "flood");
    ck_assert(!sent);
    journal_close();
    gone(fd);
}
END_TEST

START_TEST(test_is_stderr)
{
    struct stat st;
    char stream[64];
    ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
    unsetenv("JOURNAL_STREAM");
    ck_assert(!journal_is_stderr());
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    ck_assert(journal_is_stderr());
    setenv("JOURNAL_STREAM", "1:2", 1); /* of somebody who sent our output elsewhere */
    ck_assert(!journal_is_stderr());
    unsetenv("JOURNAL_STREAM");
}
END_TEST

START_TEST(test_syslog_message)
{
    char message[SYSLOG_MESSAGE], host[256], want[600];
    ck_assert_int_eq(gethostname(host, sizeof host), 0);
    size_t n =
        syslog_format(LOG_WARNING, 1795388823123, "web0", "Tunnel Down", "edge=edge1 reason=\"no\"", message);
    snprintf(want, sizeof want,
             "<28>1 2026-11-22T23:07:03.123Z %s test_journal web0 Tunnel_Down - event=\"Tunnel Down\" "
             "edge=edge1 reason=\"no\"",
             host);
    ck_assert_str_eq(message, want);
    ck_assert_uint_eq(n, strlen(message));
    char fields[3 * SYSLOG_MESSAGE];
    memset(fields, 'x', sizeof fields - 1);
    fields[sizeof fields - 1] = '\0';
    ck_assert_uint_eq(syslog_format(LOG_WARNING, 0, "", "", fields, message), SYSLOG_MESSAGE - 1);
}
END_TEST

START_TEST(test_syslog_targets)
{
    int fd = listener();
    static const char *const right[] = {
        "", "/dev/log", "192.0.2.1", "192.0.2.1:5514", "2001:db8::1", "[2001:db8::1]:514"};
    static const char *const wrong[] = {"syslog.example.com", "192.0.2.1:99999", "udp://192.0.2.1", " "};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        ck_assert_msg(!syslog_check(right[i]), "%s", right[i]);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(syslog_check(wrong[i]) != NULL, "%s", wrong[i]);
    syslog_send(LOG_NOTICE, 1000, "core", "Nobody", "");
    syslog_open(path);
    syslog_send(LOG_NOTICE, 1000, "core", "Heard", "a=1");
    ck_assert(strstr(hear(fd), "<29>1 1970-01-01T00:00:01Z ") == got);
    ck_assert(strstr(got, " core Heard - event=\"Heard\" a=1") != NULL);
    syslog_open("");
    syslog_send(LOG_NOTICE, 1000, "core", "Over", "");
    ck_assert_str_eq(hear(fd), "");
    gone(fd);
}
END_TEST

UNIT_MAIN("journal", test_fields, test_never_waits, test_is_stderr, test_syslog_message, test_syslog_targets)
