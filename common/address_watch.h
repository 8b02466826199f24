/* Tells when addresses of this box come or go, as the kernel says so (rtnetlink): a short while after the last
 * change of a burst. */
#ifndef COMMON_ADDRESS_WATCH_H
#define COMMON_ADDRESS_WATCH_H

#include <ev.h>

struct address_watch;

/* changed is called from the loop. NULL with errno set. */
struct address_watch *address_watch_new(struct ev_loop *loop, void (*changed)(void *ctx), void *ctx);
/* NULL is fine. */
void address_watch_free(struct address_watch *w);

#endif
