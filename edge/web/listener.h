/* A listening socket of the worker: accepts in small batches, within the limits, and hands on by port: HTTPS
 * to the demultiplexer, HTTP straight to a connection. */
#ifndef EDGE_WEB_LISTENER_H
#define EDGE_WEB_LISTENER_H

#include "edge/web/web.h"

/* Owns fd, also on error. NULL when memory is out. */
struct listener *listener_new(struct web *w, int fd, bool https);
/* Takes what has connected already, as far as it may stay. */
void listener_drain(struct listener *l);
/* Stops accepting: the socket is closed. */
void listener_free(struct listener *l);
/* Once a second: starts accepting again after the process was out of descriptors. */
void listener_sweep(struct listener *l);

#endif
