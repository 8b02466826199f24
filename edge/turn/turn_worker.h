/*
 * A turn worker: one process, one event loop, its own sockets; an allocation lives in the worker that its
 * client's packets reach (SO_REUSEPORT decides which), with its relay sockets in the same process.
 *
 * The caller sets RLIMIT_NOFILE: each allocation takes one descriptor (two when it has IPv4 and IPv6 relays),
 * each TCP client one more.
 */
#ifndef EDGE_TURN_TURN_WORKER_H
#define EDGE_TURN_TURN_WORKER_H

#include <ev.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "edge/turn/turn_config.h"

struct turn_worker;

/* A UDP socket takes DTLS as well, a TCP socket TLS as well, told from STUN by the first byte (RFC 7983); the
 * two last kinds take nothing else. Which words say so in messages, and what the kind is in logs: */
#define TURN_SOCKET_TABLE(X)                                                                                 \
    X(UDP, "udp", "TURN over UDP")                                                                           \
    X(TCP, "tcp", "TURN over TCP")                                                                           \
    X(DTLS, "dtls", "TURN over DTLS")                                                                        \
    X(TLS, "tls", "TURN over TLS")

enum turn_socket_kind {
#define X(name, word, words) TURN_SOCKET_##name,
    TURN_SOCKET_TABLE(X)
#undef X
        TURN_SOCKET_KINDS
};

static inline bool turn_socket_is_datagram(enum turn_socket_kind kind)
{
    return kind == TURN_SOCKET_UDP || kind == TURN_SOCKET_DTLS;
}

/* "udp" */
const char *turn_socket_word(enum turn_socket_kind kind);
/* "TURN over UDP" */
const char *turn_socket_words(enum turn_socket_kind kind);
/* False when there is none of that word. */
bool turn_socket_kind_of(const char *word, enum turn_socket_kind *out);

/* One listening socket, opened by main (turn_socket_open), bound to one concrete address: answers leave from
 * it, and it tells clients apart that reached different addresses. Never bound to 0.0.0.0 or :: */
struct turn_socket {
    enum turn_socket_kind kind;
    int fd;
    struct netaddr local;
};

/* Opens and binds a socket the way the workers want it: SO_REUSEPORT (one per worker on the same address),
 * IPv6 only, large buffers, sock_allow_fragments; TCP is listening already. ERR_SYSTEM with errno set. */
enum err turn_socket_open(enum turn_socket_kind kind, const struct netaddr *local, struct turn_socket *out);

/* A worker's mailbox, which the others write to (turn_mail.h): main makes one for each worker, keeps both
 * ends, and gives every worker the end fds[0] of its own and fds[1] of every other. 0, or -1 with errno set.
 */
int turn_worker_mailbox(int fds[2]);

/* Starts serving. Takes over *config (which is zeroed) and the descriptors of the sockets, also on failure.
 * shared_fd comes from turn_shared_create, or is -1 for a lone worker; it stays the caller's.
 * NULL with the reason in why. */
struct turn_worker *turn_worker_start(struct ev_loop *loop, struct turn_config *config,
                                      const struct turn_socket *sockets, size_t n_sockets, int shared_fd,
                                      char *why, size_t why_size);

/* The mailbox of worker `index`: the reading end if that is this one, else the writing end. Takes fd. */
void turn_worker_add_mailbox(struct turn_worker *w, uint32_t index, int fd);

/* Users, peers, quotas, lifetimes and the like change at once; allocations that exist go on: a user who has
 * gone can no longer refresh, a peer no longer allowed loses its permission when it runs out. Takes over
 * *config (zeroed, also on failure). Relay addresses, ports, worker index and count cannot change: ERR_CONFIG
 * with the reason, nothing changed. */
enum err turn_worker_reconfigure(struct turn_worker *w, struct turn_config *config, char *why,
                                 size_t why_size);

/* What turn_worker_reconfigure would refuse, without changing anything: the first of two phases. After ERR_OK
 * it can only fail for want of memory. */
enum err turn_worker_judge(const struct turn_worker *w, const struct turn_config *config, char *why,
                           size_t why_size);
/* One user more (or one who is there with other keys), one less: as reconfiguring with such a list of users
 * would do it. ERR_MEMORY: as it was. */
enum err turn_worker_set_user(struct turn_worker *w, const struct turn_user *user);
void turn_worker_drop_user(struct turn_worker *w, const char *name);
/* Addresses of this box have come or gone: the list as in the config's JSON. ERR_CONFIG, ERR_MEMORY: as it was.
 */
enum err turn_worker_set_own(struct turn_worker *w, const json_t *own_addresses);

/* The certificates (common/tls_choice.h) for TLS and DTLS from now on; without them both are refused. What is
 * open goes on with what it has. Errors with the reason: nothing changed. */
enum err turn_worker_tls(struct turn_worker *w, const json_t *certificates, char *why, size_t why_size);
/* The same with one, in PEM. */
enum err turn_worker_certificate(struct turn_worker *w, const char *cert_pem, const char *key_pem, char *why,
                                 size_t why_size);

/* A stream connection that arrived elsewhere (443) and turned out to speak TURN. */
struct turn_handed {
    int fd; /* a socket, or a pipe to who holds it; becomes the worker's, also on error */
    struct netaddr client, server; /* both ends as they really are */
    bool tls;                      /* whoever handed it over speaks TLS with the client */
    const uint8_t *data;           /* n bytes that were read from it already */
    size_t n;
};
/* ERR_REFUSED: there are too many. */
enum err turn_worker_adopt(struct turn_worker *w, const struct turn_handed *h);

/* A new object, NULL when memory is out:
 *   { "allocations": N, "connections": N (streams and DTLS sessions), "peer_connections": N,
 *     "handshakes": N, "draining": false,
 *     "relays_left_out": N,
 *     "users": [ { "user", "relays": N } ], "users_left_out": N, "quota": { "total", "user", "address" },
 *     "ports": [ { "address": "IP", "all": N, "used": N } ],       of all workers
 *     "relays": [ { "client", "server", "protocol", "user", "age", "expires_in",
 *                   "relayed": [ "IP:PORT" ], "peers": [ { "address", "expires_in" } ],
 *                   "channels": [ { "number": 16384, "peer": "IP:PORT", "expires_in" } ],
 *                   "permissions": N, "transport": "UDP" | "TCP",
 *                   "connections": [ { "peer": "IP:PORT", "state", "expires_in" } ],         TCP only
 *                   "from_client": { "packets", "bytes" }, "to_client": { "packets", "bytes" },
 *                   "dropped": N } ],
 *     "counters": { "requests": { "Allocate": N, … }, "successes": {…}, "errors": { "401": N, … },
 *                   "drops": { "no_permission": N, … }, "limits": { "user": N, … }, … } }
 * Bytes are of payload. relays_most bounds the lists of all workers together (0: leave it out); of an
 * allocation 32 peers and channels are listed, of users 100. */
json_t *turn_worker_status(const struct turn_worker *w, size_t relays_most);
/* The member of "relays" with this relayed address, which "relays" may have left out; NULL: this worker has no
 * such relay. */
json_t *turn_worker_relay(const struct turn_worker *w, const struct netaddr *relayed);

/* Refuses new allocations from now on (clients go elsewhere); existing ones go on. */
void turn_worker_drain(struct turn_worker *w);
size_t turn_worker_allocations(const struct turn_worker *w);
/* Deletes every allocation, closes every descriptor, frees. NULL is fine. */
void turn_worker_stop(struct turn_worker *w);

#endif
