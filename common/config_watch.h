/*
 * stile.json and secrets.json watched: when they have become others than they were when they were last looked
 * at, and have stayed so for a second, their owner is told. What touches them without changing a byte, and
 * what the owner writes itself, is no change.
 */
#ifndef COMMON_CONFIG_WATCH_H
#define COMMON_CONFIG_WATCH_H

#include <ev.h>
#include <stdbool.h>

#include "common/box.h"

struct config_watch {
    struct ev_loop *loop;
    const struct box *box;
    void (*changed)(void *ctx);
    void *ctx;
    ev_io events;
    ev_timer settle;
    unsigned char seen[32]; /* SHA-256 of both files */
    bool watching;
};

/* box and ctx must outlive it. Where the folder cannot be watched the box runs all the same, and says so. */
void config_watch_start(struct config_watch *w, struct ev_loop *loop, const struct box *box,
                        void (*changed)(void *ctx), void *ctx);
/* The owner looks at the files now, or has just written one. */
void config_watch_seen(struct config_watch *w);
void config_watch_stop(struct config_watch *w);

#endif
