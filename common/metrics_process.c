/* What the kernel knows of our processes. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/metrics.h"

/* The first line of /proc/PID/NAME; false when there is none. */
static bool proc_line(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *f = fopen(path, "re");
    bool good = f && fgets(out, (int)size, f);
    if (f)
        fclose(f);
    return good;
}

static double resident_bytes(pid_t pid)
{
    char line[256];
    unsigned long size, resident;
    if (!proc_line(pid, "statm", line, sizeof line) || sscanf(line, "%lu %lu", &size, &resident) != 2)
        return -1;
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* Fields 14 and 15 of stat, counted behind the name, which may contain anything. */
static double processor_seconds(pid_t pid)
{
    char line[1024];
    unsigned long user, kernel;
    if (!proc_line(pid, "stat", line, sizeof line))
        return -1;
    const char *behind = strrchr(line, ')');
    if (!behind ||
        sscanf(behind + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
        return -1;
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double own_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    double n = -3; /* ".", ".." and the one that is looking */
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void each(struct metrics *m, const struct metrics_process *processes, size_t n,
                 double (*figure)(pid_t))
{
    for (size_t i = 0; i < n; i++) {
        double v = processes[i].pid ? figure(processes[i].pid) : -1;
        if (v >= 0)
            metrics_value(m, v, "process", processes[i].name, NULL);
    }
}

void metrics_processes(struct metrics *m, const struct metrics_process *processes, size_t n)
{
    struct rlimit limit;
    metrics_family(m, "stile_process_resident_memory_bytes", METRICS_GAUGE, "resident memory of a process");
    each(m, processes, n, resident_bytes);
    metrics_family(m, "stile_process_cpu_seconds_total", METRICS_COUNTER,
                   "processor time of a process, user and kernel");
    each(m, processes, n, processor_seconds);
    metrics_family(m, "stile_process_open_fds", METRICS_GAUGE, "descriptors of the main process");
    metrics_value(m, own_descriptors(), "process", "main", NULL);
    metrics_family(m, "stile_process_max_fds", METRICS_GAUGE, "limit of descriptors of the main process");
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_value(m, (double)limit.rlim_cur, "process", "main", NULL);
}
