#include "common/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/landlock.h"
#include "common/syscall_filter.h"

static void sandbox_set_caps(bool keep_bind)
{
    cap_value_t bind = CAP_NET_BIND_SERVICE;
    cap_t now = cap_get_proc(), want = cap_init();
    cap_flag_value_t have = CAP_CLEAR;
    if (!now || !want)
        fatal("capabilities: %s", strerror(errno));
    cap_get_flag(now, bind, CAP_PERMITTED, &have);
    if (keep_bind && have == CAP_SET) {
        cap_set_flag(want, CAP_PERMITTED, 1, &bind, CAP_SET);
        cap_set_flag(want, CAP_EFFECTIVE, 1, &bind, CAP_SET);
    }
    if (cap_set_proc(want) < 0)
        fatal("capabilities: %s", strerror(errno));
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    cap_free(now);
    cap_free(want);
}

static void sandbox_close_doors(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fatal("no_new_privs: %s", strerror(errno));
#ifndef __SANITIZE_ADDRESS__ /* the leak checker traces its own process at exit */
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

void sandbox_harden(void)
{
    sandbox_set_caps(false);
    sandbox_close_doors();
}

void sandbox_harden_main(void)
{
    sandbox_set_caps(true);
    sandbox_close_doors();
}

/* Files that libraries read once: the time zone, jansson's and OpenSSL's seeds, OpenSSL's configuration. */
static void sandbox_warm_up(void)
{
    unsigned char byte;
    tzset();
    json_object_seed(0);
    if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CONFIG, NULL) != 1 ||
        RAND_bytes(&byte, 1) != 1)
        fatal("OpenSSL does not start");
}

void sandbox_confine(unsigned rights, const char *const *readable, int tell)
{
    sandbox_warm_up();
#ifndef __SANITIZE_ADDRESS__ /* the sanitizers read /proc/self */
    landlock_enter(rights, readable);
#else
    (void)readable;
#endif
    syscall_filter_enter(rights, tell);
}

enum err sandbox_need_user(const char *user, char *why, size_t why_size)
{
    if (geteuid() != 0 || getpwnam(user))
        return ERR_OK;
    snprintf(why, why_size,
             "running as root needs the account '%s' to give root up for; make it with: "
             "useradd --system --no-create-home --home-dir /nonexistent --shell /bin/sh %s (or name another "
             "with --user)",
             user, user);
    return ERR_NOT_FOUND;
}

enum err sandbox_become(const char *user, char *why, size_t why_size)
{
    if (geteuid() != 0)
        return ERR_OK;
    const struct passwd *pw = getpwnam(user);
    if (!pw)
        return sandbox_need_user(user, why, why_size);
    if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setgroups(0, NULL) < 0 ||
        setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
        setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0) {
        snprintf(why, why_size, "cannot become user %s: %s", user, strerror(errno));
        return ERR_SYSTEM;
    }
    if (pw->pw_uid == 0) {
        snprintf(why, why_size, "user %s is root; name an unprivileged one with --user", user);
        return ERR_REFUSED;
    }
    return ERR_OK;
}

void sandbox_owner(const char *user, uid_t *uid, gid_t *gid)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;
    *uid = pw ? pw->pw_uid : geteuid();
    *gid = pw ? pw->pw_gid : getegid();
}

void sandbox_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
