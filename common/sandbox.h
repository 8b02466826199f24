/* What every process of ours gives up, and how main changes its user. */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

/* No new privileges, no core dumps, not traceable, no capabilities. For workers, after exec. */
void sandbox_harden(void);
/* The same for main, which keeps CAP_NET_BIND_SERVICE where it has it (new listeners on reload). */
void sandbox_harden_main(void);
/* For workers, after sandbox_harden and before the first byte from outside: what the libraries open at their
 * first use is opened, then the process has `rights` (enum right) and may read the files `readable` alone
 * (common/landlock.h). tell: as in common/syscall_filter.h. */
void sandbox_confine(unsigned rights, const char *const *readable, int tell);
/* When running as root: ERR_NOT_FOUND, with the remedy in why, when there is no such account. Not root:
 * nothing to need. */
enum err sandbox_need_user(const char *user, char *why, size_t why_size);
/* When running as root: become `user` for good, keeping CAP_NET_BIND_SERVICE. Not root: nothing to do.
 * ERR_NOT_FOUND with the remedy in why when there is no such account. */
enum err sandbox_become(const char *user, char *why, size_t why_size);
/* The ids that files of the daemons shall have: `user` when root and it exists, else our own. */
void sandbox_owner(const char *user, uid_t *uid, gid_t *gid);
/* Soft limit of descriptors = hard limit. */
void sandbox_raise_descriptors(void);

#endif
