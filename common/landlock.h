/*
 * The second lock, where the kernel has it (Landlock, Linux 5.13; Debian 12 has it): which files a worker may
 * read, whether it may dial or bind TCP, and no signals or abstract sockets of others. The system call filter
 * does not need it; a mistake in that one's table does.
 */
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

/* From here on: of all files those in and below `readable` (absolute paths, ended by NULL; one that is not
 * there is none; NULL: no file at all), for reading; and TCP as rights (enum right) say. A kernel that knows
 * less does as much as it knows. no_new_privs must be set. Aborts only where the kernel contradicts itself.
 */
void landlock_enter(unsigned rights, const char *const *readable);

#endif
