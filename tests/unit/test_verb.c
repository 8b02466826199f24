/* Options are taken by their whole names alone; what could not be said is a failure. */
#include "common/verb.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
    char dir[] = "--dir", dir_is[] = "--dir=x", empty[] = "--dir=", x[] = "x", force[] = "--force",
         h[] = "-h";
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

static int says(int argc, char **argv)
{
    (void)argv;
    puts("a password");
    return argc - 1;
}

static int silent(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return EXIT_OK;
}

/* The descriptor that a file gets. */
static int opens(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return open("/dev/zero", O_RDONLY | O_CLOEXEC);
}

/* The exit status of a verb, with standard output there; NULL: all three standard streams are closed. */
static int status_into(const char *file, char *verb, char *word)
{
    static const struct verb verbs[] = {
        {"says", says, "x"}, {"silent", silent, "x"}, {"opens", opens, "x"}, {0}};
    char program[] = "program", *words[] = {program, verb, word, NULL};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0 && !file) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            close(fd);
        _exit(verb_run(verbs, "about", word ? 3 : 2, words));
    }
    if (pid == 0)
        _exit(freopen(file, "we", stdout) ? verb_run(verbs, "about", word ? 3 : 2, words) : 99);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(test_nothing_is_lost_in_silence)
{
    char says_it[] = "says", nothing[] = "silent", help[] = "--help", version[] = "--version", x[] = "x";
    ck_assert_int_eq(status_into("/dev/null", says_it, NULL), EXIT_OK);
    ck_assert_int_eq(status_into("/dev/full", says_it, NULL), EXIT_FAILED);
    ck_assert_int_eq(status_into("/dev/full", help, NULL), EXIT_FAILED);
    ck_assert_int_eq(status_into("/dev/full", version, NULL), EXIT_FAILED);
    ck_assert_int_eq(status_into("/dev/full", nothing, NULL), EXIT_OK);
    ck_assert_int_eq(status_into("/dev/full", says_it, x), EXIT_FAILED);
}
END_TEST

START_TEST(test_closed_streams)
{
    char says_it[] = "says", nothing[] = "silent", open_one[] = "opens";
    ck_assert_int_eq(status_into(NULL, says_it, NULL), EXIT_FAILED);
    ck_assert_int_eq(status_into(NULL, nothing, NULL), EXIT_OK);
    ck_assert_int_gt(status_into(NULL, open_one, NULL), STDERR_FILENO);
}
END_TEST

UNIT_MAIN("verb", test_whole_names, test_abbreviations, test_nothing_is_lost_in_silence, test_closed_streams)
