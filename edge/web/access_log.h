/*
 * The access log of a web worker: one line per finished request, in a descriptor that main has opened. Lines
 * are gathered in one buffer and leave with one write() when half of it is full, or after a second. Whatever
 * does not take them (a full disk, a full pipe) costs lines, which are counted, and never holds up a request.
 *
 * Whatever a guest chose is cut to size, and escaped so that a line stays one line and a field one field.
 */
#ifndef EDGE_WEB_ACCESS_LOG_H
#define EDGE_WEB_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/err.h"
#include "common/netaddr.h"
#include "proto/http_message.h"

enum {
    ACCESS_METHOD_MAX = 24,
    ACCESS_URL_MAX = 1000,
    ACCESS_AGENT_MAX = 256,
    ACCESS_CORE_MAX = 64,
    ACCESS_BUFFER = 64 * 1024,
};

enum access_end { ACCESS_COMPLETE, ACCESS_ABORTED, ACCESS_GONE };

/* What is remembered of a request while it runs. */
struct access_note {
    SLIST_ENTRY(access_note) free;
    struct netaddr client;
    const char *http;             /* "1.1", "1.0", "2.0" */
    const char *id;               /* for access_log_write */
    uint64_t bytes_in, bytes_out; /* of bodies and WebSockets */
    double first, total;          /* seconds; first is below 0 where no head of an answer came */
    unsigned status;              /* 0: none */
    int tunnel;
    enum access_end end;
    bool websocket;
    char core[ACCESS_CORE_MAX]; /* "": it went to none */
    uint16_t method_n, url_n, agent_n;
    char method[ACCESS_METHOD_MAX], url[ACCESS_URL_MAX], agent[ACCESS_AGENT_MAX];
};

/* A zeroed one with fd -1 is off. */
struct access_log {
    int fd;
    bool socket;      /* the journal's: written without waiting */
    bool json, query; /* query: URLs keep theirs */
    bool torn;        /* the last write ended within a line */
    char *buffer;
    size_t used;
    int64_t stamp_second; /* whose text `stamp` is */
    char stamp[32];
    uint64_t lines, dropped;
    SLIST_HEAD(, access_note) free;
    unsigned n_free;
};

void access_log_init(struct access_log *a);
void access_log_free(struct access_log *a);
/* From now on into fd, which it owns (-1: off); what waits goes into the old one. ERR_MEMORY: off. */
enum err access_log_use(struct access_log *a, int fd, bool json, bool query);
static inline bool access_log_on(const struct access_log *a)
{
    return a->fd >= 0;
}

/* A note for a request that begins; m may be NULL (malformed). NULL: the log is off, or memory is out. */
struct access_note *access_log_begin(struct access_log *a, const struct netaddr *client, const char *http,
                                     bool tls, const struct http_message *m);
/* Writes its line (now: the time of day in seconds) and takes the note back. NULL is fine. */
void access_log_end(struct access_log *a, struct access_note *n, double now);
/* What waits is written. Once a second, and at the end. */
void access_log_flush(struct access_log *a);

#endif
