/* What commands that ask the running daemon one thing have in common: options, the question, the answer. */
#ifndef COMMON_ASK_H
#define COMMON_ASK_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"

struct ask {
    const char *verb;   /* of the command line; also the type of the message, */
    const char *type;   /* unless that is given */
    const char *word;   /* what must follow it ("flush"); NULL: nothing does */
    const char *help;   /* behind "usage: PROGRAM " */
    const char *socket; /* in the run folder */
    int patience_ms;
    bool has_json; /* there is an option --json */
    bool as_json;  /* and it was given: set by ask_daemon */
};

/* Options --dir, --run-dir, --help and perhaps --json; then asks. The answer is the caller's to decref. NULL:
 * *status is the exit status, and what had to be said has been said: also where the daemon said no
 * ("type": "error"). */
json_t *ask_daemon(int argc, char **argv, struct ask *a, int *status);

/* As local_request, for any message (stolen); where the daemon says no, ERR_REFUSED and its reason in
 * why[SCHEMA_WHY]. */
enum err ask_socket(const char *path, json_t *msg, int patience_ms, json_t **answer, char *why);

#endif
