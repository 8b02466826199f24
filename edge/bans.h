/*
 * Who is banned from the web ports, and who is on the way to it: the book that the edge's main process
 * keeps. IPv6 clients count by their /64. Memory is of a fixed size: of very many offenders at once, those
 * that offended least recently are forgotten; beyond BANS_MAX bans nobody else is banned until some end.
 *
 * now is in seconds, monotonic.
 */
#ifndef EDGE_BANS_H
#define EDGE_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ban_categories.h"
#include "common/config.h"
#include "common/netaddr.h"

enum {
    BANS_MAX = 10000,
    BANS_OFFENDERS_MAX = 10000,
    BANS_REASON_MAX = 200,             /* bytes */
    BANS_SECONDS_MAX = 366 * 24 * 3600 /* of a ban by hand */
};

struct bans;

struct ban {
    struct netaddr client; /* as ban_client makes it */
    enum ban_category category;
    double since, until;
    char reason[BANS_REASON_MAX + 1]; /* by hand; else "" */
};

struct bans_counters {
    uint64_t banned[BAN_CATEGORY_COUNT + 1]; /* by category; the last: by hand */
    uint64_t ended, removed;                 /* by time; by hand or as they became exempt */
    uint64_t full;                           /* offenders who were not banned: there were too many */
};

/* What counts as one client: the address without port, of IPv6 the /64. */
struct netaddr ban_client(const struct netaddr *a);
/* "refused", "by hand". */
const char *ban_category_name(enum ban_category category);
/* In words, for events and lists. */
const char *ban_reason(const struct ban *ban);

/* NULL when memory is out. */
struct bans *bans_new(void);
/* NULL is fine. */
void bans_free(struct bans *b);
/* What is in force from now on. also: addresses that are never banned beside config->exempt and loopback.
 * Bans of those who are exempt now stay until bans_sweep. ERR_MEMORY: as before. */
enum err bans_configure(struct bans *b, const struct config_bans *config, const struct netcidr *also,
                        size_t n);
bool bans_is_exempt(const struct bans *b, const struct netaddr *a);

/* n offences of one kind. The ban that follows from them, good until the next call; NULL: none does. */
const struct ban *bans_offence(struct bans *b, const struct netaddr *client, enum ban_category category,
                               unsigned n, double now);
/* By hand; one that is there already is replaced. ERR_REFUSED: the address is exempt. ERR_FULL. */
enum err bans_add(struct bans *b, const struct netaddr *client, long seconds, const char *reason, double now);
/* False: there was none. */
bool bans_remove(struct bans *b, const struct netaddr *client);
/* Takes out those that are over by now, or whose address is exempt, or automatic ones when bans are off;
 * on_end sees each (may not change b). */
void bans_sweep(struct bans *b, double now, void (*on_end)(void *ctx, const struct ban *ban), void *ctx);

size_t bans_count(const struct bans *b);
const struct ban *bans_find(const struct bans *b, const struct netaddr *client);
/* One after another, in no order: NULL first, NULL at the end. Good until b changes. */
const struct ban *bans_next(const struct bans *b, const struct ban *ban);
const struct bans_counters *bans_counters(const struct bans *b);

#endif
