#include "common/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/syscall_filter.h"

/* The kernel's interface as of its version 6; the headers of Debian 12 know version 2. A shorter ruleset is
 * what an older kernel wants. */
enum { VERSION_NETWORK = 4, VERSION_SCOPE = 6 };

struct ruleset {
    uint64_t files, network, scope;
};

enum {
    NETWORK_BIND = 1 << 0,
    NETWORK_CONNECT = 1 << 1,
    SCOPE_ABSTRACT_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1
};

/* What a version can forbid about files: bits of <linux/landlock.h>, 13 from the start, then REFER, TRUNCATE
 * and (version 5) IOCTL_DEV. */
static uint64_t version_files(int version)
{
    int bits = 13 + (version >= 2) + (version >= 3) + (version >= 5);
    return (UINT64_C(1) << bits) - 1;
}

static size_t version_size(int version)
{
    return version >= VERSION_SCOPE     ? sizeof(struct ruleset)
           : version >= VERSION_NETWORK ? offsetof(struct ruleset, scope)
                                        : offsetof(struct ruleset, network);
}

static void landlock_allow_reading(int ruleset, const char *path)
{
    struct stat st;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
                                              .parent_fd = fd};
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        fatal("landlock: %s: %s", path, strerror(errno));
    close(fd);
}

void landlock_enter(unsigned rights, const char *const *readable)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return;
    struct ruleset attributes = {.files = version_files((int)version),
                                 .network = (rights & RIGHT_BIND ? 0 : NETWORK_BIND) |
                                            (rights & RIGHT_DIAL ? 0 : NETWORK_CONNECT),
                                 .scope = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, version_size((int)version), 0);
    if (ruleset < 0)
        fatal("landlock: %s", strerror(errno));
    for (; readable && *readable; readable++)
        landlock_allow_reading(ruleset, *readable);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        fatal("landlock: %s", strerror(errno));
    close(ruleset);
}
