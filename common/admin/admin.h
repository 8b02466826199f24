/*
 * The admin service as main has it: the socket, the worker that speaks HTTP, who may do what, and what was
 * done. The worker passes on what a request has with it; main finds out who is asking, judges, and does it,
 * by the same verbs that its own tools use.
 */
#ifndef COMMON_ADMIN_H
#define COMMON_ADMIN_H

#include <ev.h>
#include <jansson.h>

#include "common/admin/admin_route.h"
#include "common/box.h"
#include "common/requests.h"
#include "common/worker.h"

struct admin;

/* Starts; a socket or a database that does not work is an event, and tried again: the box goes on. box and
 * requests outlive it, place until the next admin_configure. pem: certificate, chain and key to show, or
 * NULL: a self-made one in the state folder. Aborts only when memory is out. */
struct admin *admin_new(struct ev_loop *loop, enum admin_box kind, const struct box *box,
                        const struct config_admin_place *place, struct requests *requests, const char *pem);
/* After requests_free. NULL is fine. */
void admin_free(struct admin *a);
/* The config is another one now. */
void admin_configure(struct admin *a, const struct config_admin_place *place);
void admin_set_certificate(struct admin *a, const char *pem);
/* The verb "admin" of the box's own tools: {"verb": "user_add", …}. */
void admin_request(struct admin *a, struct request *r, const json_t *msg);
/* For `status`: {"listening", "problem", "fingerprint", "sessions", "users"}. */
json_t *admin_status(struct admin *a);
struct worker *admin_worker(const struct admin *a);

#endif
