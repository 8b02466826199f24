/*
 * Core's main process: config, targets, tunnel workers. `stile-core run` makes one and runs it. Its parts:
 * core.c (start, stop), core_material.c (what its files say), core_tunnels.c (tunnel workers and what they
 * are told), core_targets.c (the bridges), core_change.c (changes while running), core_status.c,
 * core_admin.c.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <ev.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/admin/admin.h"
#include "common/config_watch.h"
#include "common/daemon.h"
#include "common/history_keeper.h"
#include "common/requests.h"
#include "common/worker.h"
#include "core/bridge/domains.h"
#include "core/bridge/resolver.h"
#include "core/pairing/pairing.h"

enum { CORE_TUNNELS_MAX = 512 };

struct core;

/* One tunnel worker: one SSH connection to one edge. */
struct core_tunnel {
    TAILQ_ENTRY(core_tunnel) next;
    struct core *owner;
    struct worker *worker;
    char edge[64], target[300]; /* name, and HOST:PORT */
    char host[256], *host_key;
    uint16_t port;
    struct resolver_query *question; /* its worker asks for the host's addresses; NULL: it does not */
    unsigned index;                  /* among those of this edge */
    bool leaving;                    /* it is not in the config any more: its requests end */
    bool passing;                    /* a tunnel that was started to take its place is not up yet */
    char state[16], reason[420];     /* as the worker said last */
    char down[420];                  /* why it is down; "": it is up, or nothing is known yet */
    char edge_version[32];
    double since;
};

/* What follows from the files of the box, judged: replaced as a whole. core_material.c */
struct core_material {
    char *client_key; /* PEM text */
    struct policy policy;
    json_t *allowlist; /* the policy's */
    json_t *told;      /* what edges are told of it, without its revision */
    struct domains *domains;
};

struct core {
    struct daemon daemon;
    struct ev_loop *loop;  /* the daemon's */
    const struct box *box; /* the daemon's */
    struct core_material material;
    struct resolver *resolver;        /* for the edges' names */
    bool unknown[CONFIG_DOMAINS_MAX]; /* domains whose targets a reload changed, until they are known */
    ev_timer patience;                /* with that */
    TAILQ_HEAD(core_tunnels, core_tunnel) tunnels;
    size_t n_tunnels; /* with those that are leaving */
    struct requests *requests;
    struct config_watch watch;
    struct change *change; /* core_change.h: while one is under way */
    struct admin *admin;
    struct history_keeper *history;
    bool stopping;
    /* core_pairing.c, core_rotation.c */
    struct pairing pairing;
    ev_timer keys_timer;
    double keys_asked;  /* monotonic */
    json_int_t keys_id; /* of what edges are told of keys; counts up with every change */
    double linger;      /* seconds that replaced tunnels may last */
    json_t *acks;       /* { edge: its newest keys_ack } */
};

/* Reads and judges them for core's name; its domains ask nobody yet. *out is set only on success. why has
 * SCHEMA_WHY bytes. */
enum err core_material_load(struct core *c, const struct box *box, struct core_material *out, char *why);
void core_material_free(struct core_material *m);

/* core_tunnels.c: no tunnel yet. */
void core_tunnels_init(struct core *c);
/* ERR_CONFIG when a config asks for more tunnels than there may be, ERR_AGAIN while so many of earlier ones
 * have not ended yet. why has SCHEMA_WHY bytes. */
enum err core_tunnels_judge(const struct core *c, const struct config *config, char *why);
/* Makes the tunnels those of the config in force: starts what is missing, retires what is not in it any more
 * (fresh: all that are there). The others are told the policy. Counts. */
struct core_tunnels_change {
    size_t started, retired, kept;
};
struct core_tunnels_change core_tunnels_match(struct core *c, bool fresh);
/* Starts a tunnel for each that is there; when one is up, one of the old ones of its edge takes no more
 * requests and ends when nothing runs in it, WebSockets among it, at the latest after `linger` seconds. */
void core_tunnels_replace(struct core *c, double linger);
/* The same for this one alone; nothing happens where it is under way. */
void core_tunnel_replace(struct core_tunnel *t, double linger);
/* Whether old tunnels are left of that. */
bool core_tunnels_passing(const struct core *c);
void core_tunnels_tell_targets(struct core *c, size_t domain);
/* Their workers, at most CORE_TUNNELS_MAX; the number. */
size_t core_tunnels_workers(const struct core *c, struct worker *all[CORE_TUNNELS_MAX]);
/* Those whose workers run. */
size_t core_tunnels_running(const struct core *c);
/* All of them drain, for so many seconds. */
void core_tunnels_stop(struct core *c, double seconds);
void core_tunnels_free(struct core *c);

/* core_targets.c: the bridges. */
extern const struct domains_events core_domains_events;
void core_targets_init(struct core *c);
void core_targets_stop(struct core *c);
/* c's domains take the place of old ones (NULL: none). Tunnel workers keep the targets that they have until
 * the new ones are known. */
void core_targets_replace(struct core *c, struct domains *old);
/* `stile-core dns flush` */
void core_dns_request(void *core, struct request *r, const json_t *msg);
int core_dns_command(int argc, char **argv);

/* core_reload.c: `stile-core reload`, SIGHUP. */
void core_reload_request(void *core, struct request *r, const json_t *msg);
int core_reload_command(int argc, char **argv);

/* allow_judge.c: verbs of the admin service.
 *   allow_list {} -> {items: [rule with rule, source, domain]}
 *   allow_test {url, method: GET if absent} -> {allowed, text, rule or status} */
void core_allow_list_request(void *core, struct request *r, const json_t *msg);
void core_allow_test_request(void *core, struct request *r, const json_t *msg);

/* core_config.c: verbs of `stile-core config` and of the admin service. Errors as in core_change.h; also code
 * "conflict" and "not_found".
 *   config_show {} -> {file, text, revision, writable, fixed: why not, config: with all defaults}
 *   config_check {text} -> {ok, diff, waits_for_restart, edges} or {ok: false, problem: {file, line, key,
 *     message}}
 *   config_put {text, revision: the one in force, by} -> as core_change.h
 *   config_history {} -> {items: [{revision, time, by, summary}]}; {revision} -> {revision, text}
 *   config_rollback {revision, by} -> as core_change.h */
void core_config_show_request(void *core, struct request *r, const json_t *msg);
void core_config_check_request(void *core, struct request *r, const json_t *msg);
void core_config_put_request(void *core, struct request *r, const json_t *msg);
void core_config_history_request(void *core, struct request *r, const json_t *msg);
void core_config_rollback_request(void *core, struct request *r, const json_t *msg);
/* core_admin.c: the admin service. */
void core_admin_start(struct core *c);
void core_admin_configure(struct core *c); /* the config is another one */
void core_admin_request(void *core, struct request *r, const json_t *msg);
/* core_pairing.c: the edges' keys. Start reads keys.json. */
enum err core_keys_start(struct core *c, char *why);
void core_keys_stop(struct core *c);
/* Adds to a worker's message what it and its edge are to know of keys. */
void core_keys_add(const struct core *c, const struct config_edge *edge, json_t *msg);
/* Something of that has changed: every worker, and so every edge, is told. */
void core_keys_tell(struct core *c);
void core_keys_save(struct core *c);
/* An edge's keys_ack. */
void core_keys_heard(struct core_tunnel *t, const json_t *msg);
/* `stile-core edge` */
void core_edge_list_request(void *core, struct request *r, const json_t *msg);
void core_edge_add_request(void *core, struct request *r, const json_t *msg);
void core_edge_remove_request(void *core, struct request *r, const json_t *msg);
int core_edge_command(int argc, char **argv);

/* core_rotation.c: `stile-core key`. Start takes up what was interrupted. */
enum err core_rotation_start(struct core *c, char *why);
bool core_rotation_runs(const struct core *c);
/* Goes on as far as edges and tunnels have come; to be called when they have, and now and then. */
void core_rotation_step(struct core *c);
/* The lines of core's keys that edges are to accept, the one in use first: a new array. */
json_t *core_rotation_core_keys(const struct core *c);
/* The host key of that edge that is being replaced; NULL: none is. */
const char *core_rotation_host_key(const struct core *c, const char *edge);
/* How long, in seconds, what was there before it may go on beside what is new. */
double core_rotation_overlap(const struct core *c);
/* What edges are to have as turn_shared_secrets and turn_nonce_key: a new object; NULL: they keep theirs. */
json_t *core_rotation_secrets(const struct core *c);
/* For status: a new object, JSON null where no rotation ever was. */
json_t *core_rotation_status(const struct core *c);
void core_key_rotate_request(void *core, struct request *r, const json_t *msg);
void core_key_finish_request(void *core, struct request *r, const json_t *msg);
void core_key_show_request(void *core, struct request *r, const json_t *msg);
/* Prints core_rotation_status for people. */
void core_rotation_print(const json_t *rotation);
int core_key_command(int argc, char **argv);

/* core_status.c: `stile-core status` and `stile-core metrics`. */
extern const struct tunnel_names core_tunnel_names;
void core_status_request(void *core, struct request *r, const json_t *msg);
void core_metrics_request(void *core, struct request *r, const json_t *msg);
/* core_history.c */
void core_history_start(struct core *c);
void core_history_request(void *core, struct request *r, const json_t *msg);
int core_history_command(int argc, char **argv);
int core_status_command(int argc, char **argv);
int core_metrics_command(int argc, char **argv);
/* core_metrics.c: the text, from the status' tunnels and what workers answered (gather.h); the caller's to
 * free, NULL when memory is out. */
char *core_metrics_text(const struct core *c, const json_t *tunnels, const json_t *results);

int core_run_command(int argc, char **argv);
int core_admin_command(int argc, char **argv);
/* allow.c: `stile-core allow` */
int core_allow_command(int argc, char **argv);

#endif
