/* `backup FILE` and `restore FILE`, alike on both boxes. program ("stile-core") stands in the backup: what
 * one kind of box has written, the other does not take. */
#ifndef COMMON_BACKUP_COMMAND_H
#define COMMON_BACKUP_COMMAND_H

int backup_command(int argc, char **argv, const char *program);
int restore_command(int argc, char **argv, const char *program);

#endif
