/* Replays tests/corpus/http1 (its language is at the top of framing.txt there) to the whole worker: each case
 * on a connection of its own, whole and byte by byte. */
#include <stdbool.h>

#include "tests/unit/web_box.h"

enum { TEXT_MAX = 64 * 1024, ANSWERS_MAX = 8 };

static struct {
    char name[256];
    char text[TEXT_MAX];
    size_t n;
    unsigned expected[ANSWERS_MAX], core;
    size_t n_expected;
} a_case;

static unsigned problems, played;

/* Statuses of the answers that have come; bodies of the box's core and of our pages hold no version with a
 * number behind it. */
static size_t answers(struct guest *g, unsigned status[ANSWERS_MAX])
{
    size_t n = 0;
    const char *at = (const char *)buf_data(&g->in), *end = at + buf_len(&g->in);
    while (at && n < ANSWERS_MAX && (at = memmem(at, (size_t)(end - at), "HTTP/1.1 ", 9)) != NULL &&
           end - at >= 12) {
        status[n] = (unsigned)strtoul(at + 9, NULL, 10);
        n += status[n] > 100; /* 100: an answer is still to come */
        at += 12;
    }
    return n;
}

static bool as_expected(struct guest *g)
{
    unsigned status[ANSWERS_MAX];
    size_t n = answers(g, status);
    return n == a_case.n_expected && memcmp(status, a_case.expected, n * sizeof *status) == 0;
}

static void play(size_t step)
{
    struct guest g;
    unsigned before = box.cores[0].requests;
    ev_tstamp give_up = ev_time() + 3;
    guest_connect(&g, true, "join.example.com");
    for (size_t at = 0; at < a_case.n && !g.closed; at += step) {
        (void)stream_write(g.stream, a_case.text + at, a_case.n - at < step ? a_case.n - at : step);
        ev_run(box.loop, EVRUN_NOWAIT);
        ev_run(box.loop, EVRUN_NOWAIT);
    }
    while (!as_expected(&g) && !g.closed && ev_time() < give_up)
        ev_run(box.loop, EVRUN_ONCE);
    run_for(0.001); /* nothing more may come */
    struct span path = http_message_path(&box.cores[0].last);
    bool smuggled = path.len && memmem(path.at, path.len, "smuggled", 8);
    unsigned reached = box.cores[0].requests - before;
    if (!as_expected(&g) || reached > a_case.core || smuggled) {
        fprintf(stderr, "%s: core saw %u; answers: %.*s\n", a_case.name, reached, (int)buf_len(&g.in),
                (const char *)buf_data(&g.in));
        problems++;
    }
    guest_close(&g);
}

static void play_case(void)
{
    if (!a_case.name[0])
        return;
    play(TEXT_MAX);
    play(1);
    played++;
}

static void add_text(const char *from)
{
    for (; *from; from++) {
        unsigned c = (unsigned char)*from, hex;
        if (c == '\\') {
            from++;
            c = *from == 'r'   ? '\r'
                : *from == 'n' ? '\n'
                : *from == 't' ? '\t'
                : *from == '0' ? 0
                               : (unsigned)*from;
            if (*from == 'x' && sscanf(from + 1, "%2x", &hex) == 1) {
                c = hex;
                from += 2;
            }
        }
        ck_assert_uint_lt(a_case.n, TEXT_MAX);
        a_case.text[a_case.n++] = (char)c;
    }
}

static void add_expected(char *rest)
{
    for (char *word = strtok(rest, " "); word; word = strtok(NULL, " "))
        a_case.expected[a_case.n_expected++] = (unsigned)strtoul(word, NULL, 10);
}

static void play_file(const char *path)
{
    char line[4096];
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s", path);
    memset(&a_case, 0, sizeof a_case);
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "=== ", 4) == 0) {
            play_case();
            memset(&a_case, 0, sizeof a_case);
            snprintf(a_case.name, sizeof a_case.name, "%s", line + 4);
        } else if (strncmp(line, "> ", 2) == 0) {
            add_text(line + 2);
        } else if (strncmp(line, "expect ", 7) == 0) {
            add_expected(line + 7);
        } else if (strncmp(line, "core ", 5) == 0) {
            a_case.core = (unsigned)strtoul(line + 5, NULL, 10);
        }
    }
    play_case();
    fclose(f);
}

START_TEST(test_framing)
{
    box_start();
    play_file("tests/corpus/http1/framing.txt");
    ck_assert_uint_eq(problems, 0);
    ck_assert_uint_ge(played, 35);
    box_stop();
}
END_TEST

START_TEST(test_heads)
{
    box_start();
    play_file("tests/corpus/http1/heads.txt");
    ck_assert_uint_eq(problems, 0);
    ck_assert_uint_ge(played, 50);
    box_stop();
}
END_TEST

START_TEST(test_smuggling)
{
    box_start();
    play_file("tests/corpus/http1/smuggling.txt");
    ck_assert_uint_eq(problems, 0);
    ck_assert_uint_ge(played, 100);
    box_stop();
}
END_TEST

UNIT_MAIN("corpus_http1", test_framing, test_heads, test_smuggling)
