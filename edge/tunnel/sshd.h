/*
 * The OpenSSH server that terminates cores' tunnels: own config, own port, one key per core, each with a
 * forced command and nothing else. Runs as the edge's own user; started again with back-off when it dies.
 */
#ifndef EDGE_TUNNEL_SSHD_H
#define EDGE_TUNNEL_SSHD_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/box.h"
#include "common/err.h"
#include "edge/tunnel/core_keys.h"

struct sshd;

/* Writes sshd_config and authorized_keys into the run folder and starts sshd. box and keys must outlive it. */
enum err sshd_start(struct ev_loop *loop, const struct box *box, const struct config_edge *self,
                    const struct core_keys *keys, struct sshd **out, char *why);
/* Writes authorized_keys anew (sshd reads it at every login). */
enum err sshd_update_keys(struct sshd *s, char *why);
/* The host key's file is another one: connections that come from now on see it, those that are there go on.
 */
void sshd_new_host_key(struct sshd *s);
/* Ends sshd and every connection through it. NULL is fine. */
void sshd_stop(struct sshd *s);
pid_t sshd_pid(const struct sshd *s);
/* Why it is not running, or "". */
const char *sshd_reason(const struct sshd *s);

#endif
