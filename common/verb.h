/* The command line's grammar: PROGRAM VERB [OPTIONS]; one row per verb. */
#ifndef COMMON_VERB_H
#define COMMON_VERB_H

#include <stdbool.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
    const char *help;                  /* NULL: not shown (for our own use) */
};

/* Runs argv[1] of the table (ended by a zero row); answers --help, --version and mistakes itself. */
int verb_run(const struct verb *verbs, const char *about, int argc, char **argv);
/* For getopt_long's '?' and ':': says how to get help, returns EXIT_USAGE. */
int verb_usage(const char *verb);

#endif
