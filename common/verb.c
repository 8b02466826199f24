#include "common/verb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/json_frame.h"

static void verb_help(const struct verb *verbs, const char *about)
{
    printf("usage: %s COMMAND [OPTION]...\n%s\n\nCommands:\n", program_invocation_short_name, about);
    for (; verbs->name; verbs++)
        if (verbs->help)
            printf("  %-10s %s\n", verbs->name, verbs->help);
    printf("\n'%s COMMAND --help' shows the options of a command.\n"
           "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
           program_invocation_short_name);
}

int verb_usage(const char *verb)
{
    fprintf(stderr, "Try '%s %s --help'.\n", program_invocation_short_name, verb);
    return EXIT_USAGE;
}

int verb_option(int argc, char **argv, const char *letters, const struct option *options)
{
    int index = -1;
    int found = getopt_long(argc, argv, letters, options, &index);
    if (found == -1 || found == '?' || index < 0)
        return found;
    /* Words that are no options have been moved behind it. A value is its last word, or behind its '='. */
    const struct option *o = &options[index];
    bool value_apart = o->has_arg == required_argument && optarg == argv[optind - 1];
    const char *typed = argv[optind - (value_apart ? 2 : 1)] + 2;
    size_t n = strcspn(typed, "=");
    if (n == strlen(o->name))
        return found;
    fprintf(stderr, "%s: '--%.*s' is no option; there is '--%s'\n", argv[0], (int)n, typed, o->name);
    return '?';
}

/* What was said may be a password that nobody can be told again: a full disk behind standard output is a
 * failure. */
static int verb_said(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "%s: standard output did not take all of it: its disk is full, or it is closed\n",
            program_invocation_short_name);
    return status == EXIT_OK ? EXIT_FAILED : status;
}

/* Where whoever started us has closed standard input, output or error, the next file opened would be in its
 * place, and get what is said. Opened for reading alone: to say something there stays a failure. */
static void verb_keep_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY | O_NOCTTY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int verb_run(const struct verb *verbs, const char *about, int argc, char **argv)
{
    verb_keep_streams();
    if (argc < 2) {
        verb_help(verbs, about);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        verb_help(verbs, about);
        return verb_said(EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("%s %s\n", program_invocation_short_name, STILE_VERSION);
        return verb_said(EXIT_OK);
    }
    json_frame_wipe_memory();
    for (const struct verb *v = verbs; v->name; v++)
        if (strcmp(v->name, argv[1]) == 0)
            return verb_said(v->run(argc - 1, argv + 1));
    fprintf(stderr, "%s: '%s' is no command; '%s --help' lists them\n", program_invocation_short_name,
            argv[1], program_invocation_short_name);
    return EXIT_USAGE;
}
