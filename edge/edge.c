#include "edge/edge.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/fatal.h"
#include "common/file.h"
#include "common/log.h"
#include "common/sandbox.h"
#include "common/verb.h"

static const double stop_grace = 3;

static const char run_help[] =
    "usage: stile-edge run [--dir DIR] [--run-dir DIR] [--user NAME] [--log-level LEVEL]\n"
    "\n"
    "Runs the edge in the foreground; logs go to stderr.\n"
    "\n"
    "  --dir DIR          what 'stile-edge join' made (default /etc/stile)\n"
    "  --run-dir DIR      sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --user NAME        whom to become when started as root (default stile)\n"
    "  --log-level LEVEL  error, warning, notice, info (default) or debug\n"
    "\n"
    "SIGTERM or Ctrl-C stops it, giving connections 3 seconds to end.\n";

/* Stopping ---------------------------------------------------------------------------------------------- */

static bool edge_any_worker(const struct edge *e)
{
    for (size_t i = 0; i < e->n_web; i++)
        if (e->web[i] && worker_running(e->web[i]))
            return true;
    for (size_t i = 0; i < e->n_turn; i++)
        if (e->turn[i] && worker_running(e->turn[i]))
            return true;
    return false;
}

static void edge_stop(struct edge *e)
{
    if (e->stopping) {
        ev_break(e->loop, EVBREAK_ALL); /* asked twice: at once */
        return;
    }
    e->stopping = true;
    sd_notify(0, "STOPPING=1");
    log_event(LOG_NOTICE, "Edge Stopping", "name=%s", e->box.name);
    for (size_t i = 0; i < e->n_web; i++)
        if (e->web[i])
            worker_stop(e->web[i], stop_grace);
    for (size_t i = 0; i < e->n_turn; i++)
        if (e->turn[i])
            worker_stop(e->turn[i], stop_grace);
    if (!edge_any_worker(e))
        ev_break(e->loop, EVBREAK_ALL);
}

static void edge_on_term(struct ev_loop *loop, ev_signal *s, int revents)
{
    (void)loop, (void)revents;
    edge_stop(s->data);
}

void edge_worker_exited(void *edge, struct worker *w, const char *how, bool stopped)
{
    struct edge *e = edge;
    (void)how;
    if (!stopped && strcmp(worker_role(w), "web") == 0)
        attachments_worker_gone(e->attachments, worker_index(w));
    if (e->stopping && !edge_any_worker(e))
        ev_break(e->loop, EVBREAK_ALL);
}

/* Starting ---------------------------------------------------------------------------------------------- */

static struct control_self edge_control_self(void *edge)
{
    const struct edge *e = edge;
    return (struct control_self){.edge = e->box.name, .data_channels = (unsigned)e->n_web, .revision = e->policy_revision};
}

static void edge_on_tunnel(void *edge, const char *core, unsigned tunnel, const char *reason)
{
    struct edge *e = edge;
    (void)core, (void)tunnel;
    snprintf(e->last_tunnel_reason, sizeof e->last_tunnel_reason, "%s", reason ? reason : "");
}

static const struct attachments_events edge_attachment_events = {.uplink = edge_web_uplink,
                                                                 .uplink_close = edge_web_uplink_close,
                                                                 .policy = edge_web_policy,
                                                                 .tunnel_changed = edge_on_tunnel,
                                                                 .self = edge_control_self};

static enum err edge_find_self(struct edge *e, char *why)
{
    char path[PATH_MAX];
    e->self = config_edge_find(&e->box.config, e->box.name);
    if (e->self)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s has no edge named \"%s\"; is this a core's folder, or was the edge renamed?",
             box_file(&e->box, BOX_CONFIG, path), e->box.name);
    return ERR_CONFIG;
}

/* As root: the run folder is made and given away before we give up being root. */
static enum err edge_prepare_run_dir(struct edge *e, const char *user, char *why)
{
    uid_t uid;
    gid_t gid;
    enum err err = file_make_dir(e->box.run, 0700, why, SCHEMA_WHY);
    if (err != ERR_OK || geteuid() != 0)
        return err;
    sandbox_owner(user, &uid, &gid);
    if (chown(e->box.run, uid, gid) == 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "%s: %s", e->box.run, strerror(errno));
    return ERR_SYSTEM;
}

static enum err edge_start(struct edge *e, char *why)
{
    enum err err = edge_web_start(e, why);
    if (err == ERR_OK && e->box.config.turn.enabled)
        err = edge_turn_start(e, why);
    if (err == ERR_OK)
        err = attachments_new(e->loop, &e->box, &edge_attachment_events, e, &e->attachments, why);
    if (err == ERR_OK)
        err = sshd_start(e->loop, &e->box, e->self, &e->sshd, why);
    if (err == ERR_OK)
        err = edge_status_start(e, why);
    return err;
}

static void edge_free(struct edge *e)
{
    attachments_free(e->attachments, "the edge is stopping");
    ev_run(e->loop, EVRUN_NOWAIT); /* lets the goodbyes out */
    sshd_stop(e->sshd);
    local_server_free(e->status);
    for (size_t i = 0; i < e->n_web; i++)
        worker_free(e->web[i]);
    for (size_t i = 0; i < e->n_turn; i++)
        worker_free(e->turn[i]);
    web_listeners_close(e->web_listeners, e->n_web);
    turn_listeners_close(e->turn_listeners, e->n_turn);
    if (e->turn_shared >= 0)
        close(e->turn_shared);
    json_decref(e->allowlist);
    free(e->cert_pem);
    file_wipe(e->key_pem);
    box_close(&e->box);
    free(e);
}

static void edge_watch_signals(struct edge *e)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    ev_signal_init(&e->term, edge_on_term, SIGTERM);
    ev_signal_init(&e->interrupt, edge_on_term, SIGINT);
    e->term.data = e->interrupt.data = e;
    ev_signal_start(e->loop, &e->term);
    ev_signal_start(e->loop, &e->interrupt);
}

static enum err edge_run(struct edge *e, const char *dir, const char *run_dir, const char *user, char *why)
{
    enum err err = box_open(&e->box, dir, run_dir, why);
    if (err == ERR_OK)
        err = edge_prepare_run_dir(e, user, why);
    if (err == ERR_OK)
        err = sandbox_become(user, why, SCHEMA_WHY);
    if (err != ERR_OK)
        return err;
    sandbox_harden_main();
    sandbox_raise_descriptors();
    err = box_load(&e->box, why);
    if (err == ERR_OK)
        err = edge_find_self(e, why);
    if (err == ERR_OK)
        err = edge_start(e, why);
    if (err != ERR_OK)
        return err;
    log_event(LOG_NOTICE, "Edge Started", "name=%s version=%s revision=%ld https_port=%ld ssh_port=%ld web_workers=%zu "
              "turn_workers=%zu", e->box.name, STILE_VERSION, e->policy_revision, e->self->https_port, e->self->ssh_port,
              e->n_web, e->n_turn);
    sd_notify(0, "READY=1");
    ev_run(e->loop, 0);
    log_event(LOG_NOTICE, "Edge Stopped", "name=%s", e->box.name);
    return ERR_OK;
}

int edge_run_command(int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"log-level", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *dir = BOX_DIR, *run_dir = NULL, *user = BOX_USER;
    char why[SCHEMA_WHY] = "out of memory";
    int option, level = LOG_INFO;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            dir = optarg;
        else if (option == 'r')
            run_dir = optarg;
        else if (option == 'u')
            user = optarg;
        else if (option == 'l' && (level = log_parse_level(optarg)) >= 0)
            log_set_level(level);
        else if (option == 'h')
            return fputs(run_help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        else
            return verb_usage("run");
    }
    if (optind < argc)
        return verb_usage("run");
    log_set_process("edge");
    umask(077);
    struct edge *e = xcalloc(1, sizeof *e);
    e->turn_shared = -1;
    e->loop = ev_default_loop(EVFLAG_NOENV);
    e->started = ev_now(e->loop);
    edge_watch_signals(e);
    enum err err = edge_run(e, dir, run_dir, user, why);
    if (err != ERR_OK)
        fprintf(stderr, "stile-edge run: %s\n", why);
    edge_free(e);
    return err == ERR_OK ? EXIT_OK : EXIT_FAILED;
}
