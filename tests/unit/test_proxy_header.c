/* The PROXY protocol's header, both versions: what is taken, what is not, and cut at every byte. */
#include <string.h>

#include "proto/proxy_header.h"
#include "tests/unit/unit.h"

static const char *why;
static size_t used;

static enum err parse(const void *data, size_t n, struct proxy_header *h)
{
    used = 0;
    why = NULL;
    return proxy_header_parse(data, n, h, &used, &why);
}

static void expect(const struct proxy_header *h, const char *client, const char *server)
{
    char text[NETADDR_TEXT];
    ck_assert(!h->local);
    ck_assert_str_eq(netaddr_print(&h->client, text), client);
    ck_assert_str_eq(netaddr_print(&h->server, text), server);
}

START_TEST(test_text)
{
    static const struct {
        const char *line, *client, *server; /* client NULL: local */
    } rows[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1:56324", "198.51.100.2:443"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535",
         "255.255.255.255:65535"},
        {"PROXY TCP6 2001:db8::1 2001:DB8::2 1 443\r\n", "[2001:db8::1]:1", "[2001:db8::2]:443"},
        {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n", "192.0.2.1:1", "192.0.2.2:2"},
        {"PROXY UNKNOWN\r\n", NULL, NULL},
        {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char data[256];
        struct proxy_header h;
        size_t n = strlen(rows[i].line);
        for (size_t cut = 0; cut < n; cut++)
            ck_assert_int_eq(parse(rows[i].line, cut, &h), ERR_AGAIN);
        memcpy(data, rows[i].line, n);
        memcpy(data + n, "\x16\x03", 2); /* what comes behind it stays */
        ck_assert_msg(parse(data, n + 2, &h) == ERR_OK, "row %zu: %s", i, why);
        ck_assert_uint_eq(used, n);
        if (rows[i].client)
            expect(&h, rows[i].client, rows[i].server);
        else
            ck_assert(h.local);
    }
}
END_TEST

START_TEST(test_text_refused)
{
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP4 1.2.3.4:5 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 [::1] ::1 1 2\r\n",
        "PROXY TCP6 ::1%eth0 ::1 1 2\r\n",
        "PROXY TCP6 ::1 ::ffff:1.2.3.4 1 2\r\n",
        "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 "
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    };
    struct proxy_header h;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_msg(parse(lines[i], strlen(lines[i]), &h) == ERR_MALFORMED, "row %zu", i);
        ck_assert_ptr_nonnull(why);
    }
    ck_assert_int_eq(parse("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n", 34, &h), ERR_MALFORMED);
}
END_TEST

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define FOUR      "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"
#define SIX                                                                                                  \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x00\x01\x01\xbb"
#define MAPPED   "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"
#define BYTES(s) s, sizeof s - 1

START_TEST(test_binary)
{
    static const struct {
        const char *data;
        size_t n;
        const char *client, *server;
    } rows[] = {
        {BYTES(SIGNATURE "\x21\x11\x00\x0c" FOUR), "192.0.2.1:56324", "198.51.100.2:443"},
        {BYTES(SIGNATURE "\x21\x11\x00\x13" FOUR "\x04\x00\x00\xea\x00\x01x"), "192.0.2.1:56324",
         "198.51.100.2:443"},
        {BYTES(SIGNATURE "\x21\x21\x00\x24" SIX), "[2001:db8::1]:1", "[2001:db8::2]:443"},
        {BYTES(SIGNATURE "\x21\x21\x00\x24" MAPPED MAPPED "\x00\x01\x01\xbb"), "192.0.2.1:1",
         "192.0.2.1:443"},
        {BYTES(SIGNATURE "\x20\x00\x00\x00"), NULL, NULL},
        {BYTES(SIGNATURE "\x20\x11\x00\x0c" FOUR), NULL, NULL},
        {BYTES(SIGNATURE "\x21\x00\x00\x02zz"), NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy_header h;
        for (size_t cut = 0; cut < rows[i].n; cut++)
            ck_assert_int_eq(parse(rows[i].data, cut, &h), ERR_AGAIN);
        ck_assert_msg(parse(rows[i].data, rows[i].n, &h) == ERR_OK, "row %zu: %s", i, why);
        ck_assert_uint_eq(used, rows[i].n);
        if (rows[i].client)
            expect(&h, rows[i].client, rows[i].server);
        else
            ck_assert(h.local);
    }
}
END_TEST

START_TEST(test_binary_refused)
{
    static const struct {
        const char *data;
        size_t n;
    } rows[] = {
        {BYTES(SIGNATURE "\x11\x11\x00\x0c" FOUR)},        /* version 1 in binary */
        {BYTES(SIGNATURE "\x22\x11\x00\x0c" FOUR)},        /* a command that there is not */
        {BYTES(SIGNATURE "\x21\x12\x00\x0c" FOUR)},        /* UDP */
        {BYTES(SIGNATURE "\x21\x11\x00\x0b" FOUR)},        /* shorter than its addresses */
        {BYTES(SIGNATURE "\x21\x11\x00\x0d" FOUR "\x04")}, /* half an extension */
        {BYTES(SIGNATURE "\x21\x11\x00\x0f" FOUR "\x04\x00\x01")},
        {BYTES(SIGNATURE "\x21\x21\x00\x24" MAPPED
                         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x00\x01\x01\xbb")},
        {BYTES(SIGNATURE "\x21\x11\xff\xff" FOUR)}, /* longer than is taken */
        {BYTES("\r\n\r\n\r")},
    };
    struct proxy_header h;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_msg(parse(rows[i].data, rows[i].n, &h) == ERR_MALFORMED, "row %zu", i);
}
END_TEST

UNIT_MAIN("proxy_header", test_text, test_text_refused, test_binary, test_binary_refused)
