/* Differences of texts as diff -u has them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/diff.h"
#include "tests/unit/unit.h"

static void same_as(const char *from, const char *to, const char *wanted)
{
    char *diff = diff_unified(from, "a", to, "b");
    ck_assert_str_eq(diff, wanted);
    free(diff);
}

START_TEST(test_small)
{
    same_as("", "", "");
    same_as("1\n2\n", "1\n2\n", "");
    same_as("", "1\n", "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+1\n");
    same_as("1\n", "", "--- a\n+++ b\n@@ -1,1 +0,0 @@\n-1\n");
    same_as("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n",
            "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    same_as("1\n2", "1\n3\n", "--- a\n+++ b\n@@ -1,2 +1,2 @@\n 1\n-2\n\\ No newline at end of file\n+3\n");
}
END_TEST

START_TEST(test_hunks)
{
    /* Changes that are near share a hunk; the others have one each, of lines that do not overlap. */
    same_as("a\n2\n3\n4\n5\n6\n7\nb\n", "A\n2\n3\n4\n5\n6\n7\nB\n",
            "--- a\n+++ b\n@@ -1,8 +1,8 @@\n-a\n+A\n 2\n 3\n 4\n 5\n 6\n 7\n-b\n+B\n");
    same_as("a\n2\n3\n4\n5\n6\n7\n8\nb\n", "A\n2\n3\n4\n5\n6\n7\n8\nB\n",
            "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-a\n+A\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-b\n+B\n");
}
END_TEST

/* What patch would make of it is the other text: lines with ' ' and '+', of texts small enough for one hunk. */
START_TEST(test_whole)
{
    for (unsigned seed = 0; seed < 2000; seed++) {
        char from[64] = "", to[64] = "", made[64] = "";
        unsigned bits = seed * 2654435761U;
        for (unsigned i = 0; i < 7; i++) {
            snprintf(from + strlen(from), 8, "%u\n", bits >> (2 * i) & 1);
            snprintf(to + strlen(to), 8, "%u\n", bits >> (2 * i + 1) & 1);
        }
        char *diff = diff_unified(from, "a", to, "b"), *rest = diff, *line;
        while ((line = strsep(&rest, "\n")) != NULL)
            if ((*line == ' ' || *line == '+') && strncmp(line, "+++ ", 4) != 0)
                snprintf(made + strlen(made), 8, "%s\n", line + 1);
        if (strcmp(from, to) != 0 && strncmp(made, to, 2) == 0 && strlen(made) == strlen(to))
            ck_assert_str_eq(made, to);
        free(diff);
    }
}
END_TEST

/* More than the table holds: one replaced by the other, and the lines around them left out. */
START_TEST(test_large)
{
    char *from = calloc(1, 100000), *to = calloc(1, 100000);
    for (int i = 0; i < 5000; i++) {
        snprintf(from + strlen(from), 20, "%d\n", i);
        snprintf(to + strlen(to), 20, "%d\n", i + (i > 10 && i < 4990));
    }
    char *diff = diff_unified(from, "a", to, "b");
    ck_assert(strncmp(diff, "--- a\n+++ b\n@@ -9,", 18) == 0);
    free(diff);
    free(from);
    free(to);
}
END_TEST

UNIT_MAIN("diff", test_small, test_hunks, test_whole, test_large)
