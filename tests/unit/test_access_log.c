/* Lines of the access log: what they hold, what a guest cannot do to them, and files that take nothing. */
#include "edge/web/access_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { PIPE_ENDS = 2 };

static struct access_log lab;
static int ends[PIPE_ENDS];
static char text[2 * ACCESS_BUFFER];

static void start(bool json, bool query)
{
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    access_log_init(&lab);
    ck_assert_int_eq(access_log_use(&lab, ends[1], json, query), ERR_OK);
}

static const char *written(void)
{
    access_log_flush(&lab);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void stop(void)
{
    access_log_free(&lab);
    close(ends[0]);
}

static struct access_note *begin(const char *path, const char *agent)
{
    struct http_message m;
    struct netaddr client;
    ck_assert_int_eq(netaddr_parse("192.0.2.7", 4711, &client), ERR_OK);
    http_message_init(&m);
    ck_assert_int_eq(http_message_set_method(&m, "GET", 3), ERR_OK);
    ck_assert_int_eq(http_message_set_authority(&m, "join.example.com", 16), ERR_OK);
    ck_assert_int_eq(http_message_set_path(&m, path, strlen(path)), ERR_OK);
    ck_assert_int_eq(http_message_add_str(&m, "user-agent", agent), ERR_OK);
    struct access_note *n = access_log_begin(&lab, &client, "2.0", true, &m);
    http_message_free(&m); /* the note holds what it needs */
    if (!n)
        return NULL;
    n->id = "0123456789abcdef00000001";
    n->status = 200;
    n->bytes_in = 5;
    n->bytes_out = 1234;
    n->first = 0.0021;
    n->total = 0.0425;
    strcpy(n->core, "core1");
    n->tunnel = 1;
    return n;
}

START_TEST(test_combined)
{
    start(false, false);
    access_log_end(&lab, begin("/a?secret=1", "Mozilla/5.0 (X)"), 1795367111.25);
    ck_assert_str_eq(written(),
                     "192.0.2.7 - - [22/Nov/2026:17:05:11 +0000] \"GET https://join.example.com/a HTTP/2.0\" "
                     "200 1234 \"-\" \"Mozilla/5.0 (X)\" request=0123456789abcdef00000001 protocol=h2 in=5 "
                     "ms=42.500 first_ms=2.100 core=\"core1\" tunnel=1 end=complete\n");
    stop();
}
END_TEST

START_TEST(test_json)
{
    start(true, true);
    access_log_end(&lab, begin("/a?b=%22\"", "x\"},\n\r\t\\\x7f\xff{\"forged\":1}"), 1795367111.25);
    const char *line = written();
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(json_string_value(json_object_get(o, "time")), "2026-11-22T17:05:11.250Z");
    ck_assert_str_eq(json_string_value(json_object_get(o, "url")), "https://join.example.com/a?b=%22\"");
    ck_assert_str_eq(json_string_value(json_object_get(o, "user_agent")),
                     "x\"},\n\r\t\\\x7f\xc3\xbf{\"forged\":1}");
    ck_assert_str_eq(json_string_value(json_object_get(o, "protocol")), "h2");
    ck_assert_int_eq((int)json_integer_value(json_object_get(o, "bytes_out")), 1234);
    ck_assert_ptr_null(json_object_get(o, "forged"));
    json_decref(o);
    stop();
}
END_TEST

/* Neither quotes nor line ends of a guest's are one in the line. */
START_TEST(test_combined_is_not_forged)
{
    start(false, true);
    access_log_end(&lab, begin("/\" 200 0", "a\"b\n192.0.2.9 - - \\ \x1b[31m\xe2"), 1795367111);
    const char *line = written();
    ck_assert_ptr_nonnull(strstr(line, "/\\x22 200 0 HTTP"));
    ck_assert_ptr_nonnull(strstr(line, "\"a\\x22b\\x0a192.0.2.9 - - \\x5c \\x1b[31m\\xe2\""));
    ck_assert_ptr_eq(strchr(line, '\n'), line + strlen(line) - 1);
    stop();
}
END_TEST

START_TEST(test_cut_to_size)
{
    static char path[5000], agent[3000];
    memset(path, '"', sizeof path - 1);
    memset(agent, '\x01', sizeof agent - 1);
    path[0] = '/';
    for (int json = 0; json < 2; json++) {
        start(json, true);
        for (int i = 0; i < 30; i++) { /* more than the buffer holds: the pipe takes some, and is read */
            access_log_end(&lab, begin(path, agent), 1795367111);
            if (i % 4 == 3)
                (void)written();
        }
        (void)written();
        ck_assert_uint_eq(lab.lines, 30);
        ck_assert_uint_eq(lab.dropped, 0);
        stop();
    }
}
END_TEST

START_TEST(test_malformed_and_gone)
{
    struct netaddr client;
    ck_assert_int_eq(netaddr_parse("2001:db8::1", 1, &client), ERR_OK);
    start(false, false);
    struct access_note *n = access_log_begin(&lab, &client, "1.1", true, NULL);
    n->id = "1";
    n->end = ACCESS_GONE;
    access_log_end(&lab, n, 1795367111);
    ck_assert_str_eq(
        written(),
        "2001:db8::1 - - [22/Nov/2026:17:05:11 +0000] \"- - HTTP/1.1\" 499 0 \"-\" \"-\" request=1 "
        "protocol=h1 in=0 ms=0.000 end=gone\n");
    stop();
}
END_TEST

/* A pipe that nobody reads: lines are lost and counted, and those that come out are whole. */
START_TEST(test_nobody_reads)
{
    enum { LINES = 3000 };
    start(false, false);
    for (int i = 0; i < LINES; i++)
        access_log_end(&lab, begin("/", "agent"), 1795367111);
    ck_assert_uint_gt(lab.dropped, 0);
    ck_assert_uint_gt(lab.lines, 0);
    ck_assert_uint_eq(lab.lines + lab.dropped, LINES);
    size_t lines = 0;
    for (const char *at; *(at = written());)
        for (; *at; at++)
            lines += *at == '\n';
    ck_assert_uint_eq(lines, lab.lines);
    stop();
}
END_TEST

START_TEST(test_full_disk)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    access_log_init(&lab);
    ck_assert_int_eq(access_log_use(&lab, fd, true, false), ERR_OK);
    for (int i = 0; i < 1000; i++)
        access_log_end(&lab, begin("/", "agent"), 1795367111);
    access_log_flush(&lab);
    ck_assert_uint_eq(lab.dropped, 1000);
    access_log_free(&lab);
}
END_TEST

/* Off costs nothing and writes nothing; a request that began with it on ends well. */
START_TEST(test_off_and_on)
{
    start(false, false);
    struct access_note *n = begin("/", "agent");
    ck_assert_int_eq(access_log_use(&lab, -1, false, false), ERR_OK);
    access_log_end(&lab, n, 1795367111);
    ck_assert_ptr_null(begin("/", "agent"));
    ck_assert_uint_eq(lab.lines, 0);
    ck_assert_int_eq(read(ends[0], text, sizeof text), 0);
    stop();
}
END_TEST

UNIT_MAIN("access_log", test_combined, test_json, test_combined_is_not_forged, test_cut_to_size,
          test_malformed_and_gone, test_nobody_reads, test_full_disk, test_off_and_on)
