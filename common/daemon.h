/* What `run` of both programs does alike: options, the box's folder, giving up root, signals. */
#ifndef COMMON_DAEMON_H
#define COMMON_DAEMON_H

#include <ev.h>
#include <stdbool.h>

#include "common/box.h"

struct daemon {
    struct ev_loop *loop;
    struct box box;
    double started;
    bool keep_low_ports;          /* set by the program: keep CAP_NET_BIND_SERVICE */
    void (*on_stop)(void *ctx);   /* SIGTERM or SIGINT, each time one comes */
    void (*on_reload)(void *ctx); /* SIGHUP; NULL: it is ignored */
    void *ctx;
    int lock; /* of the run folder */
    ev_signal term, interrupt, hangup;
    ev_timer stopping; /* tells the service manager to wait */
    double stop_by;    /* monotonic */
    void (*on_stopping)(void *ctx);
};

struct daemon_options {
    const char *dir, *run_dir, *state_dir, *user;
};

/* Parses the options of `run`; --log-level takes effect at once. Returns true to go on, else *status is the
 * exit status. */
bool daemon_parse(int argc, char **argv, const char *help, struct daemon_options *out, int *status);
/* Opens the box, makes its run and state folders, becomes the daemon's user, hardens the process, reads the
 * config, watches signals; from here on events and alarms are kept (common/events.h). why has SCHEMA_WHY
 * bytes. */
enum err daemon_begin(struct daemon *d, const struct daemon_options *options, char *why);
/* The config in force has changed: events go to the syslog server that it names for this box. */
void daemon_open_syslog(const struct daemon *d);
/* It stops, within so many seconds: from here on the service manager waits for as long as it takes
 * (EXTEND_TIMEOUT_USEC), whatever its unit says. on_stopping: at once, and each second. */
void daemon_tell_stopping(struct daemon *d, double seconds, void (*on_stopping)(void *ctx));
/* How far it is, for `systemctl status`, which cuts what is long; the seconds that are left are put before it. */
void daemon_tell_left(const struct daemon *d, const char *left);
/* Frees what daemon_begin made. */
void daemon_end(struct daemon *d);
/* Tells the service manager that a reload has begun; READY=1 says that it is over (sd_notify(3)). */
void daemon_tell_reloading(void);
/* The level that workers shall log at. */
int daemon_log_level(void);

#endif
