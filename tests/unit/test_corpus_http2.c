/*
 * Replays tests/corpus/http2: frames by hand to the whole worker, and what must come of them. One case:
 *
 *   === NAME                   begins it
 *   headers ID [end] [open]    HEADERS with END_STREAM; without END_HEADERS. Fields follow, one a line,
 * "name: value" with \r \n \0 \\; "=N" is a value of N bytes. @get, @post, @never: whole requests
 *   continuation ID [open]     the same
 *   repeat-field N FIELD       within either
 *   data ID [end] TEXT         DATA
 *   frame TYPE FLAGS ID HEX    any frame; *N:HEX repeats
 *   raw TEXT                   bytes; no-preface leaves out what else comes first
 *   repeat N ... done          lines sent N times; ID * is a new stream, . the same again
 *   slowly                     1 KiB at a time, so that what is refused is answered in between
 *   expect answer ID STATUS    must come (ID *: of any stream), and nothing beside it but NO_ERROR
 *   expect reset ID CODE
 *   expect goaway CODE
 *   core N                     at most so many requests reach core; default 0, * is any
 *   abuse NAME                 this counter has grown
 */
#include <ctype.h>
#include <nghttp2/nghttp2.h>

#include "tests/unit/h2_guest.h"

enum { LINES_MAX = 2000, EVENTS_MAX = 1000, SEND_MAX = 4 * 1024 * 1024 };

struct event {
    char kind; /* 'a'nswer, 'r'eset, 'g'oaway, 'p'ong */
    int32_t id;
    unsigned value;
};

static struct {
    char *lines[LINES_MAX];
    size_t n;
} file;

static struct {
    const char *name;
    struct buf send, block;
    uint8_t frame_type, frame_flags;
    int32_t frame_id; /* of the head that is being collected; -1: none */
    int32_t last_id;
    struct event expected[8], seen[EVENTS_MAX];
    size_t n_expected, n_seen, parsed;
    bool slowly;
    bool expect_any; /* "answer *": answers are not counted */
    long core;
    char abuse[32];
    nghttp2_hd_inflater *inflater;
    struct guest g;
} run;

static const char *const codes[] = {"NO_ERROR",           "PROTOCOL_ERROR",   "INTERNAL_ERROR",
                                    "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
                                    "FRAME_SIZE_ERROR",   "REFUSED_STREAM",   "CANCEL",
                                    "COMPRESSION_ERROR",  "CONNECT_ERROR",    "ENHANCE_YOUR_CALM"};
static const char *const types[] = {"DATA",         "HEADERS", "PRIORITY", "RST_STREAM",    "SETTINGS",
                                    "PUSH_PROMISE", "PING",    "GOAWAY",   "WINDOW_UPDATE", "CONTINUATION"};

static unsigned number_in(const char *const *names, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], word) == 0)
            return (unsigned)i;
    ck_assert_msg(isdigit((unsigned char)word[0]), "%s: what is %s?", run.name, word);
    return (unsigned)strtoul(word, NULL, 10);
}

/* Writing ---------------------------------------------------------------------------------------------- */

static void put_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t n)
{
    const uint8_t head[9] = {(uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
                             (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
    ck_assert_int_eq(buf_append(&run.send, head, sizeof head), ERR_OK);
    ck_assert_int_eq(buf_append(&run.send, payload, n), ERR_OK);
}

/* A head's frame is written when the next line is none of its fields. */
static void finish_head(void)
{
    if (run.frame_id < 0)
        return;
    put_frame(run.frame_type, run.frame_flags, (uint32_t)run.frame_id, buf_data(&run.block),
              buf_len(&run.block));
    buf_reset(&run.block);
    run.frame_id = -1;
}

static size_t unescape(const char *from, char *to)
{
    size_t n = 0;
    for (; *from; from++) {
        if (*from != '\\') {
            to[n++] = *from;
            continue;
        }
        from++;
        to[n++] = *from == 'r' ? '\r' : *from == 'n' ? '\n' : *from == '0' ? '\0' : *from;
    }
    return n;
}

/* RFC 7541 §5.1 with a prefix of 7 bits, §5.2 without Huffman. */
static void put_string(const char *text, size_t n)
{
    uint8_t b[4];
    size_t left = n, k = 0;
    b[k++] = (uint8_t)(left < 127 ? left : 127);
    if (left >= 127) {
        for (left -= 127; left >= 128; left >>= 7)
            b[k++] = (uint8_t)(left | 128);
        b[k++] = (uint8_t)left;
    }
    buf_append(&run.block, b, k);
    ck_assert_int_eq(buf_append(&run.block, text, n), ERR_OK);
}

static void put_field(const char *line)
{
    static const char *const requests[][2] = {
        {"@get", "GET /hello"}, {"@post", "POST /echo"}, {"@never", "GET /never"}};
    char name[256], value[8192];
    for (size_t i = 0; i < 3; i++) {
        char text[64];
        if (strcmp(line, requests[i][0]) != 0)
            continue;
        snprintf(text, sizeof text, ":method: %.*s", (int)strcspn(requests[i][1], " "), requests[i][1]);
        put_field(text);
        put_field(":scheme: https");
        put_field(":authority: join.example.com");
        snprintf(text, sizeof text, ":path: %s", strchr(requests[i][1], '/'));
        put_field(text);
        return;
    }
    const char *colon = strstr(line + 1, ": ");
    ck_assert_msg(colon && colon - line < 250, "%s: no field: %s", run.name, line);
    snprintf(name, sizeof name, "%.*s", (int)(colon - line), line);
    buf_append(&run.block, "\0", 1); /* literal, not indexed */
    char raw[256];
    put_string(raw, unescape(name, raw));
    if (colon[2] == '=') {
        size_t n = strtoul(colon + 3, NULL, 10);
        ck_assert_uint_le(n, sizeof value);
        memset(value, 'v', n);
        put_string(value, n);
    } else {
        put_string(value, unescape(colon + 2, value));
    }
}

static void put_hex(struct buf *out, const char *hex)
{
    for (; *hex; hex += 2) {
        unsigned byte;
        while (*hex == ' ')
            hex++;
        if (!*hex)
            return;
        unsigned long times = 1;
        char *end = NULL;
        if (*hex == '*') {
            times = strtoul(hex + 1, &end, 10);
            hex = end + 1;
        }
        const char *word_end = hex + (times > 1 ? strcspn(hex, " ") : 2);
        for (unsigned long i = 0; i < times; i++)
            for (const char *p = hex; p < word_end; p += 2) {
                ck_assert_int_eq(sscanf(p, "%2x", &byte), 1);
                uint8_t b = (uint8_t)byte;
                ck_assert_int_eq(buf_append(out, &b, 1), ERR_OK);
            }
        hex = word_end - 2;
    }
}

static int32_t stream_id(const char *word)
{
    if (word[0] == '*')
        run.last_id += 2; /* the first is 1 */
    else if (word[0] != '.')
        run.last_id = (int32_t)strtoul(word, NULL, 10);
    return run.last_id;
}

/* Splits off the next word; the rest begins behind one space. */
static char *next_word(char **rest)
{
    char *word = *rest, *end = word + strcspn(word, " ");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static void expect(char *rest)
{
    struct event *e = &run.expected[run.n_expected++];
    char *kind = next_word(&rest);
    ck_assert_uint_le(run.n_expected, 8);
    *e = (struct event){.kind = kind[0]};
    if (kind[0] != 'g') {
        char *id = next_word(&rest);
        e->id = id[0] == '*' ? -1 : (int32_t)strtol(id, NULL, 10);
        run.expect_any = run.expect_any || e->id < 0;
    }
    e->value = kind[0] == 'a' ? (unsigned)strtoul(rest, NULL, 10) : number_in(codes, 12, rest);
}

/* One line that is no repetition. */
static void take_line(const char *line)
{
    char copy[1024], *rest = copy, *word;
    static char text[1024];
    snprintf(copy, sizeof copy, "%s", line);
    if (line[0] == '#' || line[0] == '\0')
        return;
    if (run.frame_id >= 0 && (line[0] == '@' || strstr(line + 1, ": "))) {
        unsigned long times = 1;
        if (strncmp(rest, "repeat-field ", 13) == 0) {
            times = strtoul(rest + 13, &rest, 10);
            rest++;
        }
        while (times-- > 0)
            put_field(rest);
        return;
    }
    finish_head();
    word = next_word(&rest);
    if (strcmp(word, "headers") == 0 || strcmp(word, "continuation") == 0) {
        bool head = word[0] == 'h';
        run.frame_type = head ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION;
        int32_t id = stream_id(next_word(&rest));
        run.frame_flags = NGHTTP2_FLAG_END_HEADERS;
        if (strstr(rest, "open"))
            run.frame_flags = 0;
        if (strstr(rest, "end"))
            run.frame_flags |= NGHTTP2_FLAG_END_STREAM;
        run.frame_id = id;
    } else if (strcmp(word, "data") == 0) {
        uint32_t id = (uint32_t)stream_id(next_word(&rest));
        bool end = strncmp(rest, "end ", 4) == 0;
        put_frame(NGHTTP2_DATA, end, id, text, unescape(end ? rest + 4 : rest, text));
    } else if (strcmp(word, "frame") == 0) {
        unsigned type = number_in(types, 10, next_word(&rest)), flags = number_in(types, 0, next_word(&rest));
        char *at = next_word(&rest);
        uint32_t id =
            strtoul(at, NULL, 10) > INT32_MAX ? (uint32_t)strtoul(at, NULL, 10) : (uint32_t)stream_id(at);
        struct buf payload;
        buf_init(&payload, 1 << 20);
        put_hex(&payload, rest);
        put_frame((uint8_t)type, (uint8_t)flags, id, buf_data(&payload), buf_len(&payload));
        buf_free(&payload);
    } else if (strcmp(word, "raw") == 0) {
        buf_append(&run.send, text, unescape(rest, text));
    } else if (strcmp(word, "no-preface") == 0) {
        buf_reset(&run.send);
    } else if (strcmp(word, "slowly") == 0) {
        run.slowly = true;
    } else if (strcmp(word, "expect") == 0) {
        expect(rest);
    } else if (strcmp(word, "core") == 0) {
        run.core = rest[0] == '*' ? 1000 : strtol(rest, NULL, 10);
    } else if (strcmp(word, "abuse") == 0) {
        snprintf(run.abuse, sizeof run.abuse, "%s", rest);
    } else {
        ck_abort_msg("%s: what is this? %s", run.name, line);
    }
}

/* Reading ---------------------------------------------------------------------------------------------- */

static unsigned status_of(const uint8_t *block, size_t n, uint8_t flags)
{
    unsigned status = 0;
    int inflate;
    nghttp2_nv nv;
    (void)flags;
    do {
        ssize_t used = nghttp2_hd_inflate_hd2(run.inflater, &nv, &inflate, block, n, 1);
        ck_assert_int_ge(used, 0);
        block += used;
        n -= (size_t)used;
        if (inflate & NGHTTP2_HD_INFLATE_EMIT && nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0)
            status = (unsigned)strtoul((const char *)nv.value, NULL, 10);
    } while (!(inflate & NGHTTP2_HD_INFLATE_FINAL));
    nghttp2_hd_inflate_end_headers(run.inflater);
    return status;
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void see(char kind, int32_t id, unsigned value)
{
    ck_assert_uint_lt(run.n_seen, EVENTS_MAX);
    run.seen[run.n_seen++] = (struct event){kind, id, value};
}

static void read_frames(void)
{
    while (buf_len(&run.g.in) >= run.parsed + 9) {
        const uint8_t *p = buf_data(&run.g.in) + run.parsed;
        size_t n = get_u32(p) >> 8;
        int32_t id = (int32_t)get_u32(p + 5);
        if (buf_len(&run.g.in) < run.parsed + 9 + n)
            return;
        if (p[3] == NGHTTP2_HEADERS)
            see('a', id, status_of(p + 9, n, p[4]));
        else if (p[3] == NGHTTP2_RST_STREAM && get_u32(p + 9))
            see('r', id, get_u32(p + 9));
        else if (p[3] == NGHTTP2_GOAWAY)
            see('g', 0, get_u32(p + 13));
        else if (p[3] == NGHTTP2_PING && p[4] & 1 && p[9] == 's')
            see('p', 0, 0);
        run.parsed += 9 + n;
    }
}

static bool was_seen(const struct event *e)
{
    read_frames();
    for (size_t i = 0; i < run.n_seen; i++)
        if (run.seen[i].kind == e->kind && run.seen[i].value == e->value &&
            (e->id < 0 || run.seen[i].id == e->id))
            return true;
    return false;
}

static bool is_expected(const struct event *e)
{
    if (e->kind == 'p' || (e->kind == 'g' && e->value == 0) || (e->kind == 'r' && run.expect_any))
        return true;
    for (size_t i = 0; i < run.n_expected; i++) {
        const struct event *x = &run.expected[i];
        if (x->kind == 'g' && e->kind == 'r')
            return true; /* a flood's first ones may have been answered with resets */
        if (x->kind == e->kind && x->value == e->value && (x->id < 0 || x->id == e->id))
            return true;
    }
    return false;
}

static bool wants_goaway(void)
{
    for (size_t i = 0; i < run.n_expected; i++)
        if (run.expected[i].kind == 'g')
            return true;
    return false;
}

/* Running ---------------------------------------------------------------------------------------------- */

static json_int_t abuses(const char *name)
{
    box_count("connections");
    const json_t *web = json_object_get(box.last_status, "web");
    return json_integer_value(json_object_get(json_object_get(web, "http2_abuses"), name));
}

static bool was_smuggled(void)
{
    struct span path = http_message_path(&box.cores[0].last);
    return path.len && memmem(path.at, path.len, "smuggled", 8) != NULL;
}

static unsigned problems;

/* All of a file's cases are played, whatever fails. */
#define CLAIM(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fprintf(stderr, "\n");                                                                           \
            problems++;                                                                                      \
        }                                                                                                    \
    } while (0)

static void play(void)
{
    static const uint8_t ping[17] = {0, 0, 8, NGHTTP2_PING, 0, 0, 0, 0, 0, 's', 'y', 'n', 'c'};
    static const struct event pong = {'p', 0, 0};
    unsigned before = box.cores[0].requests;
    json_int_t abuses_before = run.abuse[0] ? abuses(run.abuse) : 0;
    finish_head();
    guest_connect(&run.g, true, "join.example.com");
    RUN_UNTIL(buf_len(&run.g.in) > 0); /* its SETTINGS: ours acknowledge them */
    size_t step = run.slowly ? 1024 : SEND_MAX;
    for (size_t at = 0, n = buf_len(&run.send); at < n && !run.g.closed; at += step) {
        (void)stream_write(run.g.stream, buf_data(&run.send) + at, n - at < step ? n - at : step);
        if (run.slowly)
            run_for(0.001);
    }
    for (size_t i = 0; i < run.n_expected; i++) {
        ev_tstamp give_up = ev_time() + 3;
        while (!was_seen(&run.expected[i]) && !run.g.closed && ev_time() < give_up)
            ev_run(box.loop, EVRUN_ONCE);
        CLAIM(was_seen(&run.expected[i]), "%s: no %c %d %u", run.name, run.expected[i].kind,
              run.expected[i].id, run.expected[i].value);
    }
    stream_write(run.g.stream, ping, sizeof ping);
    RUN_UNTIL(was_seen(&pong) || run.g.eof || run.g.closed);
    CLAIM(!wants_goaway() || !was_seen(&pong), "%s: the connection goes on", run.name);
    read_frames();
    for (size_t i = 0; i < run.n_seen; i++)
        CLAIM(is_expected(&run.seen[i]), "%s: unexpected %c %d %u", run.name, run.seen[i].kind,
              run.seen[i].id, run.seen[i].value);
    CLAIM(box.cores[0].requests - before <= (unsigned)run.core, "%s: core saw %u requests", run.name,
          box.cores[0].requests - before);
    CLAIM(!was_smuggled(), "%s: smuggled", run.name);
    if (run.abuse[0])
        CLAIM(abuses(run.abuse) == abuses_before + 1, "%s: not counted as %s", run.name, run.abuse);
    guest_close(&run.g);
}

static void case_begin(const char *name)
{
    static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS}, ack[9] = {0, 0, 0, NGHTTP2_SETTINGS, 1};
    memset(&run, 0, sizeof run);
    run.name = name;
    run.frame_id = -1;
    run.last_id = -1;
    buf_init(&run.send, SEND_MAX);
    buf_init(&run.block, SEND_MAX);
    ck_assert_int_eq(nghttp2_hd_inflate_new(&run.inflater), 0);
    buf_append_str(&run.send, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    buf_append(&run.send, settings, sizeof settings);
    buf_append(&run.send, ack, sizeof ack);
}

static void case_end(void)
{
    nghttp2_hd_inflate_del(run.inflater);
    buf_free(&run.send);
    buf_free(&run.block);
}

/* The lines of a case, from..to. */
static void take_lines(size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (strncmp(file.lines[i], "repeat ", 7) != 0) {
            take_line(file.lines[i]);
            continue;
        }
        unsigned long times = strtoul(file.lines[i] + 7, NULL, 10);
        size_t done = i + 1;
        while (done < to && strcmp(file.lines[done], "done") != 0)
            done++;
        finish_head();
        while (times-- > 0) {
            take_lines(i + 1, done);
            finish_head();
        }
        i = done;
    }
}

static void read_file(const char *path)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    file.n = 0;
    while ((n = getline(&line, &size, f)) >= 0) {
        ck_assert_uint_lt(file.n, LINES_MAX);
        file.lines[file.n++] = strndup(line, (size_t)n - (line[n - 1] == '\n'));
    }
    free(line);
    fclose(f);
}

static unsigned play_file(const char *path)
{
    unsigned cases = 0;
    size_t i = 0;
    read_file(path);
    while (i < file.n) {
        if (strncmp(file.lines[i], "=== ", 4) != 0) {
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < file.n && strncmp(file.lines[end], "=== ", 4) != 0)
            end++;
        case_begin(file.lines[i] + 4);
        take_lines(i + 1, end);
        play();
        case_end();
        cases++;
        i = end;
    }
    for (i = 0; i < file.n; i++)
        free(file.lines[i]);
    return cases;
}

static void corpus_start(void)
{
    SSL_CTX *old;
    box_start();
    old = box.client_tls;
    box.client_tls = h2g_tls("\x02h2");
    SSL_CTX_free(old);
}

static void corpus_stop(void)
{
    static struct h2_guest honest;
    h2g_connect(&honest, "join.example.com");
    struct h2_answer *a = h2g_ask(&honest, "GET", "/hello", true, NULL);
    RUN_UNTIL(a->closed);
    ck_assert_uint_eq(a->head.status, 200);
    h2g_close(&honest);
    RUN_UNTIL(box_count("connections") == 0);
    ck_assert_int_eq((int)box_count("held"), 0);
    ck_assert_uint_eq(problems, 0);
    box_stop();
}

START_TEST(test_heads)
{
    corpus_start();
    ck_assert_uint_ge(play_file("tests/corpus/http2/heads.txt"), 60);
    corpus_stop();
}
END_TEST

START_TEST(test_frames)
{
    corpus_start();
    ck_assert_uint_ge(play_file("tests/corpus/http2/frames.txt"), 35);
    corpus_stop();
}
END_TEST

START_TEST(test_floods)
{
    corpus_start();
    ck_assert_uint_ge(play_file("tests/corpus/http2/floods.txt"), 13);
    corpus_stop();
}
END_TEST

UNIT_MAIN("corpus_http2", test_heads, test_frames, test_floods)
