/*
 * Loaded before a program (LD_PRELOAD): its time of day is that of the machine plus the seconds that stand as
 * text in the file CLOCK_OFFSET, which may change while it runs; seconds behind a space are added to its
 * monotonic clock, as if so much time had passed. Network namespaces share one clock.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *offset_text = "0"; /* mapped at the start: sandboxes open no files */

static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void offset_map(void)
{
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCK_OFFSET");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *at = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (at != MAP_FAILED)
        offset_text = at;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (!real)
        offset_map(); /* another library's constructor came first */
    int result = real(clock, t);
    char *behind;
    long offset = strtol(offset_text, &behind, 10);
    if (result == 0 && clock == CLOCK_REALTIME)
        t->tv_sec += offset;
    else if (result == 0 && clock == CLOCK_MONOTONIC)
        t->tv_sec += strtol(behind, NULL, 10);
    return result;
}

int gettimeofday(struct timeval *t, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *t = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
