#include "tests/bench/bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 8 * 1024 * 1024, DESCRIPTORS = 200000 };

void bench_fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

uint64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

const char *bench_option(char **argv, const char *key, const char *fallback)
{
    size_t n = strlen(key);
    for (char **a = argv + 1; *a; a++)
        if (strncmp(*a, key, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    if (!fallback)
        bench_fail("%s=... is missing", key);
    return fallback;
}

unsigned long bench_number(char **argv, const char *key, const char *fallback)
{
    const char *text = bench_option(argv, key, fallback);
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || end == text)
        bench_fail("%s=%s is no number", key, text);
    return v;
}

struct netaddr bench_address(const char *text)
{
    struct netaddr a;
    if (netaddr_parse(text, 0, &a) != ERR_OK)
        bench_fail("%s is no address", text);
    return a;
}

struct bench_pids bench_pids(const char *text)
{
    struct bench_pids p = {.n = 0};
    for (const char *at = text; *at && p.n < BENCH_PROCESSES; at += *at == ',') {
        char *end;
        p.pid[p.n++] = (int)strtol(at, &end, 10);
        at = end;
    }
    return p;
}

static uint64_t thread_cpu(int pid, const char *thread)
{
    char path[100];
    unsigned long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid, thread);
    FILE *f = fopen(path, "re");
    if (!f || fscanf(f, "%llu", &ns) != 1)
        ns = 0;
    if (f)
        fclose(f);
    return ns;
}

/* Entries of /proc/PID/NAME; each is handed to visit, whose results are added up. */
static uint64_t walk(int pid, const char *name, uint64_t (*visit)(int pid, const char *entry))
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    DIR *d = opendir(path);
    if (!d)
        bench_fail("process %d is gone", pid);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (e->d_name[0] != '.')
            sum += visit(pid, e->d_name);
    closedir(d);
    return sum;
}

uint64_t bench_cpu(const struct bench_pids *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += walk(p->pid[i], "task", thread_cpu);
    return sum;
}

static uint64_t one(int pid, const char *entry)
{
    (void)pid;
    (void)entry;
    return 1;
}

uint64_t bench_descriptors(const struct bench_pids *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += walk(p->pid[i], "fd", one);
    return sum;
}

uint64_t bench_private_kib(const struct bench_pids *p)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < p->n; i++) {
        char path[64], line[200];
        unsigned long long kib;
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", p->pid[i]);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "Private_Dirty: %llu", &kib) == 1)
                sum += kib;
        if (f)
            fclose(f);
    }
    return sum;
}

void bench_enter(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "/run/netns/%.60s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0)
        bench_fail("cannot enter the name space %s", name);
    close(fd);
}

int bench_socket(const struct netaddr *local, const struct netaddr *remote)
{
    struct sockaddr_storage sa;
    int size = BUFFER;
    uint8_t family = local ? local->family : remote->family;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        bench_fail("no socket (descriptors are used up?)");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (local && bind(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(local, &sa)) != 0)
        bench_fail("cannot bind");
    if (remote && connect(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(remote, &sa)) != 0)
        bench_fail("cannot connect");
    return fd;
}

void bench_raise_descriptors(void)
{
    struct rlimit limit, wanted = {DESCRIPTORS, DESCRIPTORS};
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
