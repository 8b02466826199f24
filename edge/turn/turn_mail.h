/*
 * Notes between the turn workers of one edge: a ConnectionBind that reached another worker than the one that
 * has the peer's connection fetches it there (RFC 6062; the kernel spreads connections over the workers).
 * Each worker has a mailbox, a pair of sockets that main makes (turn_mailbox_make) and keeps, like the
 * listening sockets; main itself never reads one, so no flood reaches it. A full mailbox refuses. What a note
 * says is judged by the memory that the workers share (turn_connection_table), so an old or a forged one does
 * nothing.
 */
#ifndef EDGE_TURN_TURN_MAIL_H
#define EDGE_TURN_TURN_MAIL_H

#include <ev.h>

#include "edge/turn/turn_server.h"

struct turn_mail;

enum turn_mail_end { TURN_MAIL_READ, TURN_MAIL_WRITE };

/* fds[TURN_MAIL_READ] is for the worker itself, the other end for all others. 0, or -1 with errno set. */
int turn_mailbox_make(int fds[2]);

/* NULL when memory is out. */
struct turn_mail *turn_mail_new(struct ev_loop *loop, struct turn_server *server);
void turn_mail_free(struct turn_mail *m);
/* The mailbox of a worker: its own to read, another's to write to. Takes fd, also when it is none of either.
 */
void turn_mail_add(struct turn_mail *m, uint32_t worker, int fd);

/* As in turn_stream_ops. */
enum err turn_mail_ask(struct turn_mail *m, uint32_t worker, uint32_t id);
enum err turn_mail_hand(struct turn_mail *m, uint32_t worker, uint32_t id, int fd);
void turn_mail_tell(struct turn_mail *m, uint32_t worker, uint32_t id);

/* Called when a note says that a row has changed, after turn_peer_connection_told. */
void turn_mail_on_tell(struct turn_mail *m, void (*told)(void *ctx), void *ctx);

#endif
