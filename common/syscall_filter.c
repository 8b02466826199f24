#include "common/syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fatal.h"

/* The table ---------------------------------------------------------------------------------------------- */

enum { RULE_CHECKS = 3, EVERYBODY = 0, SOCKET_TYPE = 0xf /* the kernel's SOCK_TYPE_MASK */ };

/* One argument: of its bits those in mask are value. The kernel takes an int's lower half, so a rule never
 * says what an argument may not be: the upper half would be a way around it. */
struct check {
    unsigned argument;
    uint64_t mask, value;
};

/* One call that a process with one of `rights` may make, where its arguments pass every check. Several rows
 * of one call: any of them. */
struct rule {
    int call;
    unsigned rights;
    struct check checks[RULE_CHECKS];
};

#define ANY(call)                                                                                            \
    {                                                                                                        \
        SCMP_SYS(call), EVERYBODY,                                                                           \
        {                                                                                                    \
            {                                                                                                \
                0                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define IS(n, value)                                                                                         \
    {                                                                                                        \
        n, UINT64_MAX, (uint64_t)(value)                                                                     \
    }
#define BITS(n, mask, value)                                                                                 \
    {                                                                                                        \
        n, (uint64_t)(mask), (uint64_t)(value)                                                               \
    }
#define WHEN(call, ...)                                                                                      \
    {                                                                                                        \
        SCMP_SYS(call), EVERYBODY,                                                                           \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }
#define WITH(rights, call)                                                                                   \
    {                                                                                                        \
        SCMP_SYS(call), (rights),                                                                            \
        {                                                                                                    \
            {                                                                                                \
                0                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define WITH_WHEN(rights, call, ...)                                                                         \
    {                                                                                                        \
        SCMP_SYS(call), (rights),                                                                            \
        {                                                                                                    \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    }

static const struct rule rules[] = {
    /* The descriptors that it has. */
    ANY(read),
    ANY(write),
    ANY(readv),
    ANY(writev),
    ANY(recvfrom),
    WHEN(sendto, BITS(3, MSG_FASTOPEN, 0)), /* else it would connect */
    ANY(recvmsg),
    WHEN(sendmsg, BITS(2, MSG_FASTOPEN, 0)),
    ANY(recvmmsg),
    WHEN(sendmmsg, BITS(3, MSG_FASTOPEN, 0)),
    ANY(shutdown),
    ANY(close),
    ANY(lseek),
    ANY(getsockopt),
    ANY(setsockopt),
    ANY(getsockname),
    ANY(getpeername),
    ANY(fstat),
    WHEN(newfstatat, BITS(3, AT_EMPTY_PATH, AT_EMPTY_PATH)), /* glibc's fstat */
    WHEN(fcntl, IS(1, F_DUPFD_CLOEXEC)),
    WHEN(fcntl, IS(1, F_GETFD)),
    WHEN(fcntl, IS(1, F_SETFD)),
    WHEN(fcntl, IS(1, F_GETFL)),
    WHEN(fcntl, IS(1, F_SETFL)),
    WHEN(fcntl, IS(1, F_GETPIPE_SZ)),
    WHEN(fcntl, IS(1, F_SETPIPE_SZ)),
    /* A loop. */
    ANY(epoll_create1),
    ANY(epoll_ctl),
    ANY(epoll_wait),
    ANY(epoll_pwait),
    ANY(poll),
    ANY(ppoll),
    ANY(eventfd2),
    ANY(timerfd_create),
    ANY(timerfd_settime),
    /* Memory, none of it code. */
    ANY(brk),
    WHEN(mmap, BITS(2, PROT_EXEC, 0)),
    WHEN(mprotect, BITS(2, PROT_EXEC, 0)),
    ANY(mremap),
    ANY(munmap),
    ANY(madvise),
    /* Time, randomness, itself. */
    ANY(clock_gettime),
    ANY(clock_getres),
    ANY(gettimeofday),
    ANY(time),
    ANY(getrandom),
    ANY(getpid),
    ANY(gettid),
    ANY(getuid),
    ANY(geteuid),
    ANY(getgid),
    ANY(getegid),
    ANY(getrusage),
    ANY(sysinfo), /* glibc's qsort */
    ANY(uname),   /* libev */
    ANY(sched_getaffinity),
    ANY(sched_yield),
    WHEN(prlimit64, IS(0, 0), IS(2, 0)), /* reading its own */
    ANY(futex),
    ANY(rt_sigprocmask),
    ANY(rt_sigreturn),
    WHEN(rt_sigaction, IS(0, SIGHUP)), /* never SIGSYS: what follows a refused call is settled */
    WHEN(rt_sigaction, IS(0, SIGINT)),
    WHEN(rt_sigaction, IS(0, SIGCHLD)), /* libev */
    WHEN(rt_sigaction, IS(0, SIGPIPE)),
    WHEN(rt_sigaction, IS(0, SIGTERM)),
    WHEN(rt_sigaction, IS(0, SIGABRT)),
    ANY(restart_syscall),
    ANY(exit),
    ANY(exit_group),
    /* Sockets of its own. TCP is protocol 0 here: neither MPTCP nor SMC, which are larger kernels to attack.
     */
    WITH(RIGHT_ACCEPT | RIGHT_BIND, accept4),
    WITH_WHEN(RIGHT_PAIR, socketpair, IS(0, AF_UNIX), BITS(1, SOCKET_TYPE, SOCK_STREAM)),
    WITH_WHEN(RIGHT_DIAL, socket, IS(0, AF_INET), BITS(1, SOCKET_TYPE, SOCK_STREAM), IS(2, 0)),
    WITH_WHEN(RIGHT_DIAL, socket, IS(0, AF_INET6), BITS(1, SOCKET_TYPE, SOCK_STREAM), IS(2, 0)),
    WITH_WHEN(RIGHT_DATAGRAM, socket, IS(0, AF_INET), BITS(1, SOCKET_TYPE, SOCK_DGRAM), IS(2, 0)),
    WITH_WHEN(RIGHT_DATAGRAM, socket, IS(0, AF_INET6), BITS(1, SOCKET_TYPE, SOCK_DGRAM), IS(2, 0)),
    WITH(RIGHT_DIAL | RIGHT_DATAGRAM, connect),
    WITH(RIGHT_BIND, bind),
    WITH(RIGHT_BIND, listen),
    WITH_WHEN(RIGHT_READ_FILES, openat, BITS(2, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, O_RDONLY)),
    WITH(RIGHT_READ_FILES, newfstatat),
    WITH(RIGHT_READ_FILES, getdents64),
#ifdef __SANITIZE_ADDRESS__
    /* What the sanitizers do at exit and in a report: read /proc/self, and look for leaks from a second
     * thread that stops the first. */
    ANY(openat),
    ANY(open),
    ANY(readlink),
    ANY(getdents64),
    ANY(stat),
    ANY(sigaltstack),
    ANY(rt_sigaction),
    ANY(getdents),
    ANY(kill),
    ANY(tkill),
    ANY(access),
    ANY(clone),
    ANY(ptrace),
    ANY(prctl),
    ANY(wait4),
    ANY(getppid),
    ANY(pipe2),
    ANY(pipe),
    ANY(process_vm_readv),
    ANY(set_robust_list),
    ANY(ioctl),
#endif
};

/* A refused call ----------------------------------------------------------------------------------------- */

static int refused_tell = -1;

/* Every signal is held back here and this one's handler cannot be changed, so nothing comes between the word
 * and the end: a second refused call while SIGSYS is held back ends the process (signal(7)). */
static void on_refused_call(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    ssize_t told = write(refused_tell, &info->si_syscall, sizeof info->si_syscall);
    (void)told; /* nobody to tell: the signal says as much */
    (void)syscall(SYS_execve, NULL, NULL, NULL);
    _exit(128 + SIGSYS);
}

static void filter_watch_refusals(int tell)
{
    struct sigaction action = {.sa_sigaction = on_refused_call, .sa_flags = SA_SIGINFO};
    refused_tell = tell;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, NULL) < 0)
        fatal("SIGSYS: %s", strerror(errno));
}

const char *syscall_name(int number, char *out, size_t size)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (name)
        snprintf(out, size, "%s", name);
    else
        snprintf(out, size, "system call %d", number);
    free(name);
    return out;
}

/* The filter --------------------------------------------------------------------------------------------- */

static void filter_add(scmp_filter_ctx filter, const struct rule *rule)
{
    struct scmp_arg_cmp checks[RULE_CHECKS];
    unsigned n = 0;
    for (; n < RULE_CHECKS && rule->checks[n].mask; n++)
        checks[n] = (struct scmp_arg_cmp){.arg = rule->checks[n].argument,
                                          .op = SCMP_CMP_MASKED_EQ,
                                          .datum_a = rule->checks[n].mask,
                                          .datum_b = rule->checks[n].value};
    int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, n, checks);
    if (error < 0)
        fatal("seccomp: rule for system call %d: %s", rule->call, strerror(-error));
}

/* abort() and nothing else: its own process. */
static void filter_add_abort(scmp_filter_ctx filter)
{
    const struct rule rule = WHEN(tgkill, IS(0, getpid()));
    filter_add(filter, &rule);
}

void syscall_filter_enter(unsigned rights, int tell)
{
    filter_watch_refusals(tell);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    if (!filter)
        fatal("seccomp: out of memory");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].rights == EVERYBODY || rules[i].rights & rights)
            filter_add(filter, &rules[i]);
    filter_add_abort(filter);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    int error = seccomp_load(filter);
    if (error < 0)
        fatal("seccomp: %s; this kernel must have CONFIG_SECCOMP_FILTER", strerror(-error));
    seccomp_release(filter);
}
