/* Every kind of worker of a box, confined as it is in service, then tried with what somebody who has
 * taken it over would do next. Each try is a process of its own: it is to end by SIGSYS, and to have named
 * the call. */
#ifndef TESTS_UNIT_CONFINED_H
#define TESTS_UNIT_CONFINED_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sandbox.h"
#include "common/syscall_filter.h"
#include "common/worker_process.h"
#include "tests/unit/unit.h"

/* Those of the box, ended by a zero row. */
static const struct worker_role *confined_roles;

/* What is tried -------------------------------------------------------------------------------------------
 */

static char key_file[] = "/tmp/stile-test-key-XXXXXX";

static void try_execve(void)
{
    char *argv[] = {(char[]){"/bin/true"}, NULL};
    execve(argv[0], argv, NULL);
}

static void try_fork(void)
{
    (void)syscall(SYS_fork);
}

static void try_trace(void)
{
    (void)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
}

static void try_read_memory(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&byte, 1};
    (void)process_vm_writev(1, &here, 1, &there, 1, 0);
}

static void try_kill(void)
{
    (void)kill(1, SIGTERM);
}

static void try_open(void)
{
    (void)open(key_file, O_RDONLY);
}

static void try_write_file(void)
{
    (void)open(key_file, O_WRONLY);
}

static void try_make_file(void)
{
    (void)open("/tmp/stile-test-new", O_RDONLY | O_CREAT, 0600);
}

static void try_rename(void)
{
    (void)rename(key_file, "/tmp/stile-test-moved");
}

static void try_unlink(void)
{
    (void)unlink(key_file);
}

static void try_packet_socket(void)
{
    (void)socket(AF_PACKET, SOCK_RAW, 0);
}

static void try_raw_socket(void)
{
    (void)socket(AF_INET, SOCK_RAW, 1);
}

static void try_netlink_socket(void)
{
    (void)socket(AF_NETLINK, SOCK_RAW, 0);
}

static void try_unix_socket(void)
{
    (void)socket(AF_UNIX, SOCK_STREAM, 0);
}

static void try_other_tcp(void)
{
    (void)socket(AF_INET, SOCK_STREAM, 262 /* MPTCP */);
}

static void try_tcp_socket(void)
{
    (void)socket(AF_INET, SOCK_STREAM, 0);
}

static void try_udp_socket(void)
{
    (void)socket(AF_INET6, SOCK_DGRAM, 0);
}

static void try_bind(void)
{
    (void)bind(0, NULL, 0);
}

static void try_connect(void)
{
    (void)connect(0, NULL, 0);
}

/* These would connect, where there is no connection yet. */
static void try_sendto_fast_open(void)
{
    (void)sendto(0, "", 1, MSG_FASTOPEN, NULL, 0);
}

static void try_sendmsg_fast_open(void)
{
    struct msghdr message = {0};
    (void)sendmsg(0, &message, MSG_FASTOPEN | MSG_NOSIGNAL);
}

static void try_sendmmsg_fast_open(void)
{
    struct mmsghdr messages[1] = {0};
    (void)sendmmsg(0, messages, 1, MSG_FASTOPEN);
}

static void try_accept(void)
{
    (void)accept4(0, NULL, NULL, 0);
}

static void try_pair(void)
{
    int fds[2];
    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static void try_datagram_pair(void)
{
    int fds[2];
    (void)socketpair(AF_UNIX, SOCK_DGRAM, 0, fds);
}

static void try_code(void)
{
    (void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void try_make_code(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void try_dumpable(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1);
}

static void try_core_limit(void)
{
    struct rlimit limit = {1, 1};
    (void)setrlimit(RLIMIT_CORE, &limit);
}

static void try_namespace(void)
{
    (void)syscall(SYS_unshare, 0x10000000 /* CLONE_NEWUSER */);
}

static void try_ring(void)
{
    (void)syscall(SYS_io_uring_setup, 1, NULL);
}

static void try_bpf(void)
{
    (void)syscall(SYS_bpf, 0, NULL, 0);
}

/* As of a debugger: the way out of what follows a refused call. */
static void try_handler(void)
{
    signal(SIGSYS, SIG_IGN);
}

/* The upper half of an int is not looked at by the kernel. */
static void try_handler_with_high_bits(void)
{
    (void)syscall(SYS_rt_sigaction, 0x100000000L + SIGSYS, NULL, NULL, 8L);
}

static void try_ioctl(void)
{
    (void)syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x");
}

static void try_setuid(void)
{
    (void)syscall(SYS_setuid, 0);
}

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* Refused to everybody who has none of the rights `unless`; sanitizers: they need it for themselves. */
static const struct attempt {
    void (*run)(void);
    const char *call;
    unsigned unless;
    bool sanitizers;
} attempts[] = {
    {try_execve, "execve", 0, false},
    {try_fork, "fork", 0, false},
    {try_trace, "ptrace", 0, true},
    {try_read_memory, "process_vm_writev", 0, false},
    {try_kill, "kill", 0, true},
    {try_open, "openat", RIGHT_READ_FILES, true},
    {try_write_file, "openat", 0, true},
    {try_make_file, "openat", 0, true},
    {try_rename, "rename", 0, false},
    {try_unlink, "unlink", 0, false},
    {try_packet_socket, "socket", 0, false},
    {try_raw_socket, "socket", 0, false},
    {try_netlink_socket, "socket", 0, false},
    {try_unix_socket, "socket", 0, false},
    {try_other_tcp, "socket", 0, false},
    {try_tcp_socket, "socket", RIGHT_DIAL, false},
    {try_udp_socket, "socket", RIGHT_DATAGRAM, false},
    {try_bind, "bind", RIGHT_BIND, false},
    {try_connect, "connect", RIGHT_DIAL | RIGHT_DATAGRAM, false},
    {try_sendto_fast_open, "sendto", 0, false},
    {try_sendmsg_fast_open, "sendmsg", 0, false},
    {try_sendmmsg_fast_open, "sendmmsg", 0, false},
    {try_accept, "accept4", RIGHT_ACCEPT | RIGHT_BIND, false},
    {try_pair, "socketpair", RIGHT_PAIR, false},
    {try_datagram_pair, "socketpair", 0, false},
    {try_code, "mmap", 0, false},
    {try_make_code, "mprotect", 0, false},
    {try_dumpable, "prctl", 0, true},
    {try_core_limit, "prlimit64", 0, false},
    {try_namespace, "unshare", 0, false},
    {try_ring, "io_uring_setup", 0, false},
    {try_bpf, "bpf", 0, false},
    {try_handler, "rt_sigaction", 0, true},
    {try_handler_with_high_bits, "rt_sigaction", 0, true},
    {try_ioctl, "ioctl", 0, true},
    {try_setuid, "setuid", 0, false},
};

/* How it ends ---------------------------------------------------------------------------------------------
 */

/* The status with which a process of this role ends that makes the try, and the call that it named, -1: none.
 */
static int confined(const struct worker_role *role, void (*run)(void), int *number)
{
    int fds[2], status;
    ck_assert_int_eq(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        sandbox_harden();
        sandbox_confine(role->rights, role->readable, fds[1]);
        run();
        _exit(0);
    }
    close(fds[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    *number = -1;
    ck_assert_int_ge(read(fds[0], number, sizeof *number), 0);
    close(fds[0]);
    return status;
}

static void expect(const struct worker_role *role, const struct attempt *a)
{
    char name[64];
    int number, status = confined(role, a->run, &number);
    bool refused = !(a->unless & role->rights);
    if (!refused) {
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s may not %s: status %d", role->name,
                      a->call, status);
        return;
    }
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s may %s: status %d", role->name,
                  a->call, status);
    ck_assert_str_eq(syscall_name(number, name, sizeof name), a->call);
}

START_TEST(each_role_is_refused_what_is_not_its_business)
{
    for (const struct worker_role *role = confined_roles; role->name; role++)
        for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++)
            if (!SANITIZED || !attempts[i].sanitizers)
                expect(role, &attempts[i]);
}
END_TEST

/* One that may read files reads none but its own, where the kernel has Landlock. */
static void try_reading_the_key(void)
{
    if (open(key_file, O_RDONLY) >= 0 || errno != EACCES)
        _exit(1);
}

START_TEST(files_beside_its_own_are_not_read)
{
    int number;
    for (const struct worker_role *role = confined_roles; role->name; role++)
        if (role->rights & RIGHT_READ_FILES)
            ck_assert_msg(confined(role, try_reading_the_key, &number) == 0, "%s reads the key", role->name);
}
END_TEST

static void do_everyday_things(void)
{
    char buffer[64 * 1024], *more = malloc(1 << 22);
    struct stat st;
    struct rlimit limit;
    memset(more, 1, 1 << 22);
    more = realloc(more, 1 << 23);
    memset(buffer, 0, sizeof buffer);
    if (!more || fstat(1, &st) != 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        _exit(1);
    free(more);
    abort();
}

START_TEST(an_abort_is_an_abort)
{
    int number;
    for (const struct worker_role *role = confined_roles; role->name; role++) {
        int status = confined(role, do_everyday_things, &number);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: status %d", role->name,
                      status);
    }
}
END_TEST

static int confined_run(const char *name, const struct worker_role *roles)
{
    const TTest *all[3] = {each_role_is_refused_what_is_not_its_business, an_abort_is_an_abort};
    size_t n = 2;
    int fd = mkstemp(key_file);
    if (fd < 0)
        return 1;
    close(fd);
    confined_roles = roles;
    if (!SANITIZED && syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0)
        all[n++] = files_beside_its_own_are_not_read;
    int status = unit_run(name, all, n);
    unlink(key_file);
    return status;
}

#endif
