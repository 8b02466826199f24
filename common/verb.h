/* The command line's grammar: PROGRAM VERB [OPTIONS]; one row per verb. */
#ifndef COMMON_VERB_H
#define COMMON_VERB_H

#include <getopt.h>
#include <stdbool.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct verb {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
    const char *help;                  /* NULL: not shown (for our own use) */
};

/* Runs argv[1] of the table (ended by a zero row); answers --help, --version and mistakes itself.
 * EXIT_FAILED, and says so, where standard output did not take all that was printed. */
int verb_run(const struct verb *verbs, const char *about, int argc, char **argv);
/* getopt_long without its abbreviations: --passphrase, which one command has, shall not be another one's
 * --passphrase-file, and take the word behind it. What is wrong is told, and '?' returned. */
int verb_option(int argc, char **argv, const char *letters, const struct option *options);
/* For verb_option's '?': says how to get help, returns EXIT_USAGE. */
int verb_usage(const char *verb);

#endif
