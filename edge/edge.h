/*
 * The edge's main process: config, sockets, workers, sshd, control channels. `stile-edge run` makes one and
 * runs it. Its parts: edge.c (start, signals, stop), edge_web.c and edge_turn.c (what their workers are
 * told), edge_users.c (the local credentials database), edge_bans.c (who is shut out), edge_keys.c (keys that
 * core changes), edge_reload.c (changes while running), edge_status.c.
 */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include <ev.h>
#include <stdbool.h>

#include "common/admin/admin.h"
#include "common/config_watch.h"
#include "common/daemon.h"
#include "common/history_keeper.h"
#include "common/local_server.h"
#include "common/log.h"
#include "common/requests.h"
#include "common/tls_tickets.h"
#include "common/worker.h"
#include "edge/bans.h"
#include "edge/certificates.h"
#include "edge/listeners.h"
#include "edge/tunnel/attachments.h"
#include "edge/tunnel/sshd.h"
#include "edge/users.h"

struct edge_certificate_file {
    ev_stat stat;
    char *path;
};

/* edge_certificate.c: the certificates in use, their files watched. */
struct edge_certificate {
    struct certificates set;
    json_t *alarms; /* as of certificates_alarms: those that have been told */
    /* the folder, key.pem, of each certificate its file and its OCSP response, files that were refused */
    json_t *files; /* their names */
    struct edge_certificate_file watched[2 + 3 * TLS_IDENTITIES_MAX];
    size_t n_watched;
    ev_timer settle, look_again;
    bool looked;                /* since the last change was told of */
    struct tls_tickets tickets; /* keys of session tickets, of all web workers */
    ev_timer rotate;
    bool watching;
};

/* edge_acme.c: the folder of ACME answers, watched. */
struct edge_acme {
    char folder[PATH_MAX];
    json_t *answers; /* { token: answer } */
    ev_io watch;
    bool watching;
};

struct edge {
    struct daemon daemon;
    struct ev_loop *loop;           /* the daemon's */
    const struct box *box;          /* the daemon's */
    const struct config_edge *self; /* in the box's config */
    /* web */
    struct edge_certificate certificate;
    struct edge_acme acme;
    json_t *allowlist;    /* the policy in force, as sent to web workers */
    json_t *join_hosts;   /* of that policy: a list of texts, the first one's certificate for unknown names */
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
    struct edge_addresses *addresses; /* edge_addresses.c */
    /* Connections on their way from web workers (columns) to turn workers, see edge/web/handover.h */
    uint16_t handing[LISTENERS_WORKERS_MAX][LISTENERS_WORKERS_MAX];
    int turn_mailboxes[LISTENERS_WORKERS_MAX][2]; /* one per worker, see turn_worker_mailbox */
    size_t next_turn;                             /* who gets the next one */
    struct users *users;                          /* NULL: the database does not work, */
    char users_problem[SCHEMA_WHY];               /* for this reason */
    struct edge_reload *reload;                   /* while one is under way */
    struct config_watch watch;
    char config_from[64];            /* which core brought the config in force; "": the file */
    char config_waiting[512];        /* its keys that count from the next start */
    char config_unsaved[SCHEMA_WHY]; /* why stile.json is not what a core brought; "": it is */
    struct bans *bans;               /* edge_bans.c */
    ev_timer bans_timer;             /* runs while there are bans */
    struct log_limit bans_log;
    uint64_t bans_full; /* bans_counters.full as it was looked at last */
    /* the rest */
    struct sshd *sshd;
    struct core_keys core_keys; /* edge_keys.c */
    struct attachments *attachments;
    struct requests *requests; /* of our own tools */
    ev_timer tunnels_timer;    /* edge_tunnels.c: runs while cores may come at the start */
    struct admin *admin;
    char last_tunnel_core[64], last_tunnel_reason[256]; /* the tunnel that went down last; "" = none did */
    bool stopping;
    struct history_keeper *history;
    struct gather *leaving; /* edge_stop.c: asks workers what is left */
};

/* edge_stop.c: SIGTERM, each time one comes. */
void edge_stop(void *edge);
/* Tells nobody any more. */
void edge_stop_end(struct edge *e);

/* edge_certificate.c: reads and judges the certificates, then watches them. Stop frees them. */
enum err edge_certificate_start(struct edge *e, char *why);
/* e->join_hosts are others: judges the certificates for them, and tells the workers. */
void edge_certificate_hosts(struct edge *e);
/* Those in use, as workers are told; a secret. */
json_t *edge_certificate_json(const struct edge *e);
void edge_certificate_stop(struct edge *e);
/* edge_acme.c: for port 80. */
void edge_acme_start(struct edge *e);
void edge_acme_stop(struct edge *e);
/* edge_access_log.c: opened, for a web worker that starts; anew, for all of them. */
void edge_access_log_start(const struct edge *e, struct worker *w);
void edge_access_log_reopen(const struct edge *e);
/* edge_web.c: allow-list, workers. why has SCHEMA_WHY bytes. */
enum err edge_web_start(struct edge *e, char *why);
bool edge_web_uplink(void *edge, unsigned channel, long id, const char *core, unsigned tunnel,
                     const int fds[2]);
void edge_web_uplink_close(void *edge, unsigned channel, long id);
/* Sends the certificates in use to the workers; connections keep the one they began with. */
void edge_web_certificate(struct edge *e);
void edge_web_limits(struct edge *e);  /* the same with what guests are allowed, and HSTS */
void edge_web_acme(struct edge *e);    /* the same with answers to ACME challenges */
void edge_web_tickets(struct edge *e); /* the same with the keys of session tickets */
const char *edge_web_policy(void *edge, const char *core, long revision, const json_t *msg);
/* For `stile-edge cert`: the join hosts of the policy in force. */
void edge_web_hosts_request(void *edge, struct request *r, const json_t *msg);
/* edge_turn.c: what turn workers are told. */
enum err edge_turn_start(struct edge *e, char *why);
void edge_turn_certificate(struct edge *e); /* as edge_web_certificate */
/* Sends a worker that has just started its setup; false with the reason when this box has no address for its
 * relays. */
bool edge_turn_set_up(struct edge *e, struct worker *w, char *why);
/* own_addresses of the workers' config, as they are now. */
json_t *edge_turn_own_addresses(const struct edge *e);
/* edge_addresses.c: addresses of this box come and go. Turn workers are told, and those that could not be set
 * up as there was none for their relays are tried again. */
enum err edge_addresses_start(struct edge *e, char *why);
void edge_addresses_stop(struct edge *e);
void edge_addresses_await(struct edge *e, struct worker *w, const char *why);
/* A TURN connection that web worker `web` took on the HTTPS port; fd is the caller's. */
void edge_turn_hand(struct edge *e, unsigned web, const json_t *msg, int fd);
/* A worker of either kind is gone, with what was on its way to or from it. */
void edge_turn_worker_gone(struct edge *e, const struct worker *w);
/* The config of one worker by config c, its users left out: they go before it, edge_users_send. NULL when
 * memory is out.
 */
json_t *edge_turn_config(const struct edge *e, const struct config *c, const struct secrets *secrets,
                         unsigned index, char *why);
/* Judges that config as workers will; *out is the caller's to free. */
enum err edge_turn_judge(const struct edge *e, const struct config *c, const struct secrets *secrets,
                         struct turn_config *out, char *why);
/* edge_users.c: the local credentials database, and `stile-edge user`. */
void edge_users_open(struct edge *e);
/* The users whom workers have to know, in parts: the next setup or prepare message takes them in. */
void edge_users_send(const struct edge *e, const struct secrets *secrets, struct worker *w);
void edge_users_request(void *edge, struct request *r, const json_t *msg);
/* Reads the database anew if it was changed behind our back; true: workers have to hear of it. */
bool edge_users_refresh(struct edge *e);
/* edge_tunnels.c: alarms of them. reason as in attachments_events. */
void edge_tunnels_start(struct edge *e);
void edge_tunnels_stop(struct edge *e);
void edge_tunnels_changed(struct edge *e, const char *core, const char *reason);
/* edge_bans.c: the ban list. */
enum err edge_bans_start(struct edge *e, char *why);
void edge_bans_stop(struct edge *e);
void edge_bans_configure(struct edge *e);     /* the config or the addresses that are exempt have changed */
json_t *edge_bans_json(const struct edge *e); /* the addresses, for a worker's setup */
void edge_bans_heard(struct edge *e, const json_t *msg); /* a worker's `offences` */
json_t *edge_bans_status(const struct edge *e);
void edge_bans_request(void *edge, struct request *r, const json_t *msg);
/* edge_keys.c: keys and secrets that core changes while tunnels run. */
enum err edge_keys_start(struct edge *e, char *why);
void edge_keys_stop(struct edge *e);
json_t *edge_keys_heard(void *edge, const char *core, const json_t *msg);
/* edge_reload.c: config and secrets read anew while calls go on: SIGHUP, `stile-edge reload`. */
void edge_reload_request(void *edge, struct request *r, const json_t *msg);
void edge_reload_free(struct edge_reload *reload);
/* The same with a config that a core brings over the tunnel: asked to prepare it, and how it ended. */
void edge_carry_request(void *edge, struct request *r, const json_t *msg);
void edge_carry_begin(void *edge, long id, const char *core, long revision, const char *text);
void edge_carry_end(void *edge, long id, long revision, bool commit);
/* edge_config.c: verb config_show {} -> {file, text, revision, from, writable: false, fixed: why,
 * waits_for_restart: [keys], unsaved: why or "", config: with all defaults}, and its command. */
void edge_config_show_request(void *edge, struct request *r, const json_t *msg);
json_t *edge_config_waiting(const struct edge *e);
int edge_config_command(int argc, char **argv);
/* edge_admin.c: the admin service. */
void edge_admin_start(struct edge *e);
void edge_admin_configure(struct edge *e);   /* the config in force is another one */
void edge_admin_certificate(struct edge *e); /* as edge_web_certificate */
void edge_admin_request(void *edge, struct request *r, const json_t *msg);
/* edge_status.c: `stile-edge status` and `stile-edge metrics`. */
void edge_status_request(void *edge, struct request *r, const json_t *msg);
void edge_metrics_request(void *edge, struct request *r, const json_t *msg);
/* edge_history.c */
void edge_history_start(struct edge *e);
void edge_history_request(void *edge, struct request *r, const json_t *msg);
/* Of a relay's row. */
extern const struct table_column edge_relay_columns[];
/* edge_relay.c: one of them, by its relayed address. */
void edge_relay_request(void *edge, struct request *r, const json_t *msg);
/* What a worker of that role ("web", "turn") said of itself, of its answer with its name; NULL when there is
 * none, or it speaks for another role. */
json_t *edge_status_part(const json_t *result, const char *role);
/* Adds the figures of tunnel_figures.h to the tunnels' rows; web: the status of every web worker. */
void edge_tunnels_add_load(json_t *tunnels, const json_t *web);
extern const struct tunnel_names edge_tunnel_names;
/* edge_metrics.c: the text, from what workers answered (gather.h); the caller's to free, NULL when memory is
 * out. */
char *edge_metrics_text(const struct edge *e, const json_t *results);
/* Shared by both kinds of worker. */
void edge_worker_exited(void *edge, struct worker *w, const char *how, bool stopped);

/* The commands */
int edge_run_command(int argc, char **argv);
int edge_admin_command(int argc, char **argv);
int edge_join_command(int argc, char **argv);
int edge_status_command(int argc, char **argv);
int edge_metrics_command(int argc, char **argv);
int edge_history_command(int argc, char **argv);
int edge_cert_command(int argc, char **argv); /* cert.c */
int edge_reload_command(int argc, char **argv);
int edge_user_command(int argc, char **argv);
int edge_ban_command(int argc, char **argv);
int edge_relay_command(int argc, char **argv);

#endif
