#include "common/backup_options.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/password.h"
#include "common/verb.h"

bool backup_options_parse(struct backup_options *o, int argc, char **argv, int *status)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"state-dir", required_argument, NULL, 's'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"passphrase-file", required_argument, NULL, 'p'},
                                            {"force", no_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    o->dir = BOX_DIR;
    o->user = BOX_USER;
    *status = EXIT_USAGE;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            o->dir = optarg;
        } else if (option == 's') {
            o->state_dir = optarg;
        } else if (option == 'r') {
            o->run_dir = optarg;
        } else if (option == 'u') {
            o->user = optarg;
        } else if (option == 'p') {
            o->passphrase_file = optarg;
        } else if (option == 'f' && strcmp(o->verb, "restore") == 0) {
            o->force = true;
        } else if (option == 'j') {
            o->json = true;
        } else if (option == 'h') {
            *status = fputs(o->help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
            return false;
        } else {
            verb_usage(o->verb);
            return false;
        }
    }
    if (argc - optind == 1) {
        o->file = argv[optind];
        return true;
    }
    fprintf(stderr, "%s %s: one file is wanted\n", o->program, o->verb);
    verb_usage(o->verb);
    return false;
}

static enum err passphrase_from_file(struct backup_options *o)
{
    char *text;
    enum err e =
        file_read_secret_any(o->passphrase_file, sizeof o->passphrase - 1, &text, NULL, o->why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    text[strcspn(text, "\r\n")] = '\0';
    snprintf(o->passphrase, sizeof o->passphrase, "%s", text);
    file_wipe(text);
    return ERR_OK;
}

enum err backup_options_passphrase(struct backup_options *o, bool twice)
{
    enum err e = o->passphrase_file ? passphrase_from_file(o)
                                    : passphrase_read(o->file, twice, o->passphrase, sizeof o->passphrase,
                                                      o->why, SCHEMA_WHY);
    if (e == ERR_OK && strlen(o->passphrase) < BACKUP_PASSPHRASE_LEAST) {
        snprintf(o->why, SCHEMA_WHY,
                 "a passphrase of a backup has %d characters or more: with it goes everything",
                 BACKUP_PASSPHRASE_LEAST);
        e = ERR_REFUSED;
    }
    return e;
}

int backup_options_end(struct backup_options *o, enum err e)
{
    OPENSSL_cleanse(o->passphrase, sizeof o->passphrase);
    box_close(&o->box);
    if (e == ERR_OK)
        return EXIT_OK;
    fprintf(stderr, "%s %s: %s\n", o->program, o->verb, o->why);
    return EXIT_FAILED;
}
