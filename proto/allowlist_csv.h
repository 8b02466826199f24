/*
 * Allow-list rules and tests of them as CSV, in the format that the appliance uses:
 *
 *   Url,Deployment,HttpMethods,MatchType,Description          rules
 *   Url,ExpectedResult,Deployment,Description,HttpMethod      tests
 *
 * The header line names the columns, in any order; Url must be there, and ExpectedResult in tests. A rule's
 * Url is https:// or wss://, host, optional port, path; HttpMethods is a quoted list ("GET,POST"), empty for
 * the default ones; MatchType is prefix or exact (default). Deployment is read over: there is one.
 */
#ifndef PROTO_ALLOWLIST_CSV_H
#define PROTO_ALLOWLIST_CSV_H

#include <stdio.h>

#include "proto/allowlist.h"

enum { ALLOWLIST_CSV_WHY = 700, ALLOWLIST_TEXT_MAX = 1024 };

/* Appends the rules of a CSV text (NUL-terminated, changed by reading) to *a. name is for messages.
 * ERR_CONFIG with "NAME:LINE: what is wrong and what would be right", ERR_FULL, ERR_MEMORY; *a then is
 * unchanged. */
enum err allowlist_csv_read(const char *name, char *text, struct allowlist *a, char *why, size_t why_size);
void allowlist_csv_write(FILE *out, const struct allowlist *a);

/* One test: is this URL, asked for with this method, allowed or blocked? */
struct allowlist_test {
    const char *url, *method, *description; /* in the text; method "GET" where none is given */
    bool allow;
    unsigned line;
};

/* Calls each for every row; errors as above, found row by row. */
enum err allowlist_csv_tests(const char *name, char *text,
                             void (*each)(void *ctx, const struct allowlist_test *test), void *ctx, char *why,
                             size_t why_size);

/* Judges a URL as a guest's browser would send it: https://… or wss://…, any method. *v as allowlist_judge; a
 * URL that no browser can send is ALLOWLIST_MALFORMED. */
void allowlist_judge_url(const struct allowlist *a, const char *url, const char *method,
                         struct allowlist_verdict *v);

#endif
