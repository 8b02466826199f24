/* What the command lines of backup and restore have in common. */
#ifndef COMMON_BACKUP_OPTIONS_H
#define COMMON_BACKUP_OPTIONS_H

#include <stdbool.h>

#include "common/box.h"

enum { BACKUP_PASSPHRASE = 1024, BACKUP_PASSPHRASE_LEAST = 12 };

/* First folder of members' names: files of the box's folder and of its state folder, and our own. */
#define BACKUP_IN_DIR   "box/"
#define BACKUP_IN_STATE "state/"
#define BACKUP_MANIFEST "backup/manifest.json"

struct backup_options {
    const char *verb, *program, *help;
    const char *file, *dir, *state_dir, *run_dir, *user, *passphrase_file;
    bool force, json;
    char passphrase[BACKUP_PASSPHRASE];
    struct box box;
    char why[SCHEMA_WHY];
};

/* Fills in o from the command line; true to go on, else *status is the exit status. */
bool backup_options_parse(struct backup_options *o, int argc, char **argv, int *status);
/* Asks for it, or reads it: never from the command line, which others see. twice: a new one. */
enum err backup_options_passphrase(struct backup_options *o, bool twice);
/* Says why, if e says so; wipes the passphrase; the exit status. */
int backup_options_end(struct backup_options *o, enum err e);

#endif
