/*
 * The edge's main process: config, sockets, workers, sshd, control channels. `stile-edge run` makes one and
 * runs it. Its parts: edge.c (start, signals, stop), edge_web.c and edge_turn.c (what their workers are
 * told), edge_status.c.
 */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include <ev.h>
#include <stdbool.h>

#include "common/cert.h"
#include "common/daemon.h"
#include "common/local_server.h"
#include "common/worker.h"
#include "edge/listeners.h"
#include "edge/tunnel/attachments.h"
#include "edge/tunnel/sshd.h"

/* edge_certificate.c: the files of the certificate in use, watched. */
struct edge_certificate {
    struct cert info;
    char cert_path[PATH_MAX], key_path[PATH_MAX];
    ev_stat cert_file, key_file;
    ev_timer settle, look_again;
    bool watching;
};

struct edge {
    struct daemon daemon;
    struct ev_loop *loop;  /* the daemon's */
    const struct box *box; /* the daemon's */
    const struct config_edge *self;
    /* web */
    char *cert_pem, *key_pem; /* in use */
    struct edge_certificate certificate;
    json_t *allowlist;    /* the policy in force, as sent to web workers */
    long policy_revision; /* from our config, or a newer one from a core */
    char policy_from[64]; /* which core sent it; "" = our config */
    char policy_problem[256];
    struct web_listeners web_listeners[LISTENERS_WORKERS_MAX];
    struct worker *web[LISTENERS_WORKERS_MAX];
    size_t n_web;
    /* turn */
    struct turn_listeners turn_listeners[LISTENERS_WORKERS_MAX];
    struct worker *turn[LISTENERS_WORKERS_MAX];
    size_t n_turn;
    int turn_shared;
    /* Connections on their way from web workers (columns) to turn workers, see edge/web/handover.h */
    uint16_t handing[LISTENERS_WORKERS_MAX][LISTENERS_WORKERS_MAX];
    size_t next_turn; /* who gets the next one */
    /* the rest */
    struct sshd *sshd;
    struct attachments *attachments;
    struct local_server *status;
    char last_tunnel_core[64], last_tunnel_reason[256]; /* the tunnel that went down last; "" = none did */
    bool stopping;
};

/* edge_certificate.c: reads and judges the certificate, then watches it. Stop frees it. */
enum err edge_certificate_start(struct edge *e, char *why);
void edge_certificate_stop(struct edge *e);
/* edge_web.c: allow-list, workers. why has SCHEMA_WHY bytes. */
enum err edge_web_start(struct edge *e, char *why);
bool edge_web_uplink(void *edge, unsigned channel, long id, const char *core, unsigned tunnel,
                     const int fds[2]);
void edge_web_uplink_close(void *edge, unsigned channel, long id);
/* Sends the certificate in use to the workers; connections keep the one they began with. */
void edge_web_certificate(struct edge *e);
const char *edge_web_policy(void *edge, const char *core, long revision, const json_t *msg);
/* edge_turn.c */
enum err edge_turn_start(struct edge *e, char *why);
void edge_turn_certificate(struct edge *e); /* as edge_web_certificate */
/* cert.c: `stile-edge cert` */
int edge_cert_command(int argc, char **argv);
/* A TURN connection that web worker `web` took on the HTTPS port; fd is the caller's. */
void edge_turn_hand(struct edge *e, unsigned web, const json_t *msg, int fd);
/* A worker of either kind is gone, with what was on its way to or from it. */
void edge_turn_worker_gone(struct edge *e, const struct worker *w);
/* edge_status.c: answers `stile-edge status` and is its command. */
enum err edge_status_start(struct edge *e, char *why);
int edge_status_command(int argc, char **argv);
int edge_metrics_command(int argc, char **argv);
/* edge_metrics.c: the text, from what workers answered (gather.h); the caller's to free, NULL when memory is
 * out. */
char *edge_metrics_text(const struct edge *e, const json_t *results);
/* Shared by both kinds of worker. */
void edge_worker_exited(void *edge, struct worker *w, const char *how, bool stopped);

/* `stile-edge run` and `stile-edge join` */
int edge_run_command(int argc, char **argv);
int edge_join_command(int argc, char **argv);

#endif
