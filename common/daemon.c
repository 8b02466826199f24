#include "common/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "common/alarms.h"
#include "common/clock.h"
#include "common/events.h"
#include "common/file.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/syslog_out.h"
#include "common/verb.h"

enum { STOP_EXTEND = 15 }; /* seconds */

/* Seconds after the start in which tunnels, targets and workers have shown how they are. */
static const double settled_after = 20;

bool daemon_parse(int argc, char **argv, const char *help, struct daemon_options *out, int *status)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"log-level", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"state-dir", required_argument, NULL, 's'},
                                            {NULL, 0, NULL, 0}};
    int option, level;
    *out = (struct daemon_options){.dir = BOX_DIR, .user = BOX_USER};
    *status = EXIT_USAGE;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            out->dir = optarg;
        } else if (option == 'r') {
            out->run_dir = optarg;
        } else if (option == 's') {
            out->state_dir = optarg;
        } else if (option == 'u') {
            out->user = optarg;
        } else if (option == 'l' && (level = log_parse_level(optarg)) >= 0) {
            log_set_level(level);
        } else if (option == 'h') {
            *status = fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
            return false;
        } else {
            if (option == 'l')
                fprintf(stderr, "%s: --log-level is error, warning, notice, info or debug\n",
                        program_invocation_short_name);
            verb_usage("run");
            return false;
        }
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "%s: '%s' is no option\n", program_invocation_short_name, argv[optind]);
    verb_usage("run");
    return false;
}

int daemon_log_level(void)
{
    int level = LOG_DEBUG;
    while (level > LOG_ERR && !log_enabled(level))
        level--;
    return level;
}

/* Two of one kind on one folder would take each other's sockets away, and with SO_REUSEPORT each other's
 * guests. */
static enum err daemon_lock(struct daemon *d, char *why)
{
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "%.50s.lock", program_invocation_short_name);
    box_run_file(&d->box, name, path);
    d->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock < 0) {
        snprintf(why, SCHEMA_WHY, "%s: %s", path, strerror(errno));
        return ERR_SYSTEM;
    }
    if (flock(d->lock, LOCK_EX | LOCK_NB) == 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s: %s runs already with this folder", path, program_invocation_short_name);
    return ERR_EXISTS;
}

static void daemon_on_signal(struct ev_loop *loop, ev_signal *s, int revents)
{
    (void)loop, (void)revents;
    struct daemon *d = s->data;
    d->on_stop(d->ctx);
}

static void daemon_on_hangup(struct ev_loop *loop, ev_signal *s, int revents)
{
    (void)loop, (void)revents;
    struct daemon *d = s->data;
    if (d->on_reload)
        d->on_reload(d->ctx);
}

static void daemon_watch_signals(struct daemon *d)
{
    signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&d->term, daemon_on_signal, SIGTERM);
    ev_signal_init(&d->interrupt, daemon_on_signal, SIGINT);
    ev_signal_init(&d->hangup, daemon_on_hangup, SIGHUP);
    d->term.data = d->interrupt.data = d->hangup.data = d;
    ev_signal_start(d->loop, &d->term);
    ev_signal_start(d->loop, &d->interrupt);
    ev_signal_start(d->loop, &d->hangup);
}

void daemon_open_syslog(const struct daemon *d)
{
    const struct config *c = &d->box.config;
    const struct config_edge *edge = config_edge_find(c, d->box.name);
    const struct config_core *core = config_core_find(c, d->box.name);
    bool is_edge = strcmp(log_process(), "edge") == 0;
    syslog_open(is_edge ? (edge ? edge->syslog : "") : core ? core->syslog : "");
}

/* The config that was refused before a restart is in order now, or we would not be here. */
static void daemon_keep_events(struct daemon *d)
{
    char path[PATH_MAX];
    events_open(d->loop, box_state_file(&d->box, EVENTS_FILE, path), d->box.name, settled_after);
    daemon_open_syslog(d);
    alarm_clear(ALARM_CONFIG_REFUSED, BOX_CONFIG);
}

enum err daemon_begin(struct daemon *d, const struct daemon_options *options, char *why)
{
    umask(077);
    d->lock = -1;
    d->loop = ev_default_loop(EVFLAG_NOENV);
    d->started = ev_now(d->loop);
    daemon_watch_signals(d);
    enum err e = box_open(&d->box, options->dir, options->run_dir, why);
    if (e == ERR_OK)
        e = box_set_state(&d->box, options->state_dir, why);
    /* As root: they are made and given away before we give up being root. */
    if (e == ERR_OK)
        e = box_make_run_dir(&d->box, options->user, why);
    if (e == ERR_OK)
        e = box_make_state_dir(&d->box, options->user, why);
    if (e == ERR_OK)
        e = sandbox_become(options->user, why, SCHEMA_WHY);
    if (e != ERR_OK)
        return e;
    if (d->keep_low_ports)
        sandbox_harden_main();
    else
        sandbox_harden();
    sandbox_raise_descriptors();
    e = daemon_lock(d, why);
    if (e == ERR_OK)
        e = box_load(&d->box, why);
    if (e == ERR_OK)
        daemon_keep_events(d);
    return e;
}

void daemon_tell_reloading(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* The deadline of each message is far enough away that a late one does no harm. */
static void daemon_on_stopping(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    struct daemon *d = t->data;
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%d", STOP_EXTEND * 1000000);
    d->on_stopping(d->ctx);
}

void daemon_tell_stopping(struct daemon *d, double seconds, void (*on_stopping)(void *ctx))
{
    d->stop_by = clock_monotonic() + seconds;
    d->on_stopping = on_stopping;
    sd_notify(0, "STOPPING=1");
    ev_timer_init(&d->stopping, daemon_on_stopping, 0, 1);
    d->stopping.data = d;
    ev_timer_start(d->loop, &d->stopping);
}

void daemon_tell_left(const struct daemon *d, const char *left)
{
    double seconds = d->stop_by - clock_monotonic();
    sd_notifyf(0, "STATUS=Stopping, %.0f s at most: %s", seconds > 0 ? seconds : 0, left);
}

void daemon_end(struct daemon *d)
{
    ev_timer_stop(d->loop, &d->stopping);
    ev_signal_stop(d->loop, &d->term);
    ev_signal_stop(d->loop, &d->interrupt);
    ev_signal_stop(d->loop, &d->hangup);
    events_close();
    syslog_open("");
    box_close(&d->box);
    if (d->lock >= 0)
        close(d->lock);
}
