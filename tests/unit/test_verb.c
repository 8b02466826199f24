/* Options are taken by their whole names alone. */
#include "common/verb.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                        {"passphrase-file", required_argument, NULL, 'f'},
                                        {"force", no_argument, NULL, 'F'},
                                        {NULL, 0, NULL, 0}};

/* What is found first; optarg and optind as getopt leaves them. */
static int first(char *a, char *b, char *c)
{
    static char verb[] = "init";
    char *words[] = {verb, a, b, c, NULL};
    int n = 1;
    while (words[n])
        n++;
    optind = 0;
    optarg = NULL;
    return verb_option(n, words, "h", options);
}

START_TEST(test_whole_names)
{
    char dir[] = "--dir", dir_is[] = "--dir=x", empty[] = "--dir=", x[] = "x", force[] = "--force", h[] = "-h";
    ck_assert_int_eq(first(dir, x, NULL), 'd');
    ck_assert_str_eq(optarg, "x");
    ck_assert_int_eq(first(dir_is, x, NULL), 'd');
    ck_assert_str_eq(optarg, "x");
    ck_assert_int_eq(first(empty, NULL, NULL), 'd');
    ck_assert_str_eq(optarg, "");
    ck_assert_int_eq(first(x, dir, x), 'd'); /* behind a word that is none */
    ck_assert_int_eq(first(x, force, x), 'F');
    ck_assert_int_eq(first(h, NULL, NULL), 'h');
    ck_assert_int_eq(first(dir, dir, NULL), 'd'); /* the value looks like an option */
    ck_assert_str_eq(optarg, "--dir");
    ck_assert_int_eq(first(x, NULL, NULL), -1);
}
END_TEST

START_TEST(test_abbreviations)
{
    char passphrase[] = "--passphrase", with_value[] = "--passphrase=x", d[] = "--d", f[] = "--f", x[] = "x";
    ck_assert_int_eq(first(passphrase, x, NULL), '?');
    ck_assert_int_eq(first(with_value, NULL, NULL), '?');
    ck_assert_int_eq(first(d, x, NULL), '?');
    ck_assert_int_eq(first(f, NULL, NULL), '?');
    ck_assert_int_eq(first(x, passphrase, x), '?');
}
END_TEST

UNIT_MAIN("verb", test_whole_names, test_abbreviations)
