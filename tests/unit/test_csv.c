/* RFC 4180, row by row; and that what is written is read the same. */
#include <stdlib.h>
#include <string.h>

#include "common/csv.h"
#include "tests/unit/unit.h"

static struct csv csv;
static struct csv_row row;
static char text[256], why[CSV_WHY];

static void open_text(const char *s)
{
    strcpy(text, s);
    csv_open(&csv, text);
}

#define ROW(line_, n_)                                                                                       \
    ck_assert_int_eq(csv_next(&csv, &row, why), ERR_OK);                                                     \
    ck_assert_uint_eq(row.line, line_);                                                                      \
    ck_assert_uint_eq(row.n, n_)

START_TEST(test_rows)
{
    open_text("\xEF\xBB\xBFone,\"two, \"\"2\"\"\",\r\n\n\r\n\"line\nend\",x\nlast");
    ROW(1, 3);
    ck_assert_str_eq(row.fields[0], "one");
    ck_assert_str_eq(row.fields[1], "two, \"2\"");
    ck_assert_str_eq(row.fields[2], "");
    ROW(4, 2);
    ck_assert_str_eq(row.fields[0], "line\nend");
    ROW(6, 1);
    ck_assert_str_eq(row.fields[0], "last");
    ck_assert_int_eq(csv_next(&csv, &row, why), ERR_EOF);
    open_text("\"\",\"\"\n");
    ROW(1, 2);
    ck_assert_str_eq(row.fields[1], "");
    ck_assert_int_eq(csv_next(&csv, &row, why), ERR_EOF);
}
END_TEST

START_TEST(test_malformed)
{
    static const struct {
        const char *text, *words;
        unsigned line;
    } rows[] = {
        {"a\n\"b", "a quote is not closed", 2},
        {"a\n\n\"b\"c", "a closing quote must be followed by a comma or the end of the line", 3},
        {"a\nb\"c\"", "a quote in the middle of a field that is not quoted", 2},
        {"a\n,,,,,,,,,,,,,,,,", "more than 16 fields", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_text(rows[i].text);
        ROW(1, 1);
        ck_assert_int_eq(csv_next(&csv, &row, why), ERR_MALFORMED);
        ck_assert_str_eq(why, rows[i].words);
        ck_assert_uint_eq(row.line, rows[i].line);
    }
}
END_TEST

START_TEST(test_written_is_read)
{
    static const char *const fields[] = {"", "plain", "a,b", "a\"b", "\"", "a\nb", "a\r\nb", " =1+1"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *out;
        size_t n;
        FILE *memory = open_memstream(&out, &n);
        csv_put(memory, fields[i]);
        fputs(",x\r\n", memory);
        fclose(memory);
        csv_open(&csv, out);
        ROW(1, 2);
        ck_assert_str_eq(row.fields[0], fields[i]);
        free(out);
    }
}
END_TEST

UNIT_MAIN("csv", test_rows, test_malformed, test_written_is_read)
