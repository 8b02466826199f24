/*
 * The TCP connections with peers of all workers (RFC 6062), in the memory that they share: the client may
 * bring its ConnectionBind to any of them, as SO_REUSEPORT decides. A row says who owns the connection (the
 * worker of its allocation), whose it is, and which worker has joined it to a client's connection. One word
 * per row is the truth: taking a connection is one compare-and-swap, and whoever finds its row gone lets go
 * of its end. Lock-free; rows of a worker that died are released by its successor.
 */
#ifndef EDGE_TURN_TURN_CONNECTION_TABLE_H
#define EDGE_TURN_TURN_CONNECTION_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum { TURN_CONNECTION_ROWS = 16384 }; /* the most that all workers have at once */

struct turn_connection_row {
    _Atomic uint64_t word;                   /* id, owner, taker and state; 0: free */
    uint64_t user;                           /* as turn_shared_user */
    _Atomic uint64_t from_client, to_client; /* bytes passed on */
    uint32_t port, seat;                     /* what they are paid from, see turn_shared_connection_pays */
};

struct turn_connection_table {
    struct turn_connection_row rows[TURN_CONNECTION_ROWS];
};

/* Enters a connection of this owner (a worker's index) and user; id is not 0. ERR_EXISTS: draw another id;
 * ERR_FULL. */
enum err turn_connection_add(struct turn_connection_table *t, uint32_t id, uint32_t owner, uint64_t user,
                             struct turn_connection_row **out);
/* Makes taker the one who joins it, for the user whose it is; nobody else can take it then. ERR_NOT_FOUND: no
 * such connection, taken already, or somebody else's. */
enum err turn_connection_take(struct turn_connection_table *t, uint32_t id, uint64_t user, uint32_t taker,
                              uint32_t *owner, struct turn_connection_row **out);
/* True while the row is this connection's and taker has it. */
bool turn_connection_taken_by(const struct turn_connection_row *r, uint32_t id, uint32_t taker);
/* True while the row is this connection's. */
bool turn_connection_there(const struct turn_connection_row *r, uint32_t id);
/* Frees the row if it still is this connection's. */
void turn_connection_release(struct turn_connection_row *r, uint32_t id);
/* Everything that a worker owned or had taken. */
void turn_connection_release_worker(struct turn_connection_table *t, uint32_t worker);

#endif
