#include "edge/web/access_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    NOTES_KEPT = 64, /* that wait for the next request */
    ESCAPED = 6,     /* bytes that one may become: \u00ff */
    ENTRY_MAX = ESCAPED * (ACCESS_METHOD_MAX + ACCESS_URL_MAX + ACCESS_AGENT_MAX + ACCESS_CORE_MAX) + 640,
    STATUS_GONE = 499, /* as nginx has it: the guest went before there was an answer */
};

void access_log_init(struct access_log *a)
{
    *a = (struct access_log){.fd = -1};
    SLIST_INIT(&a->free);
}

/* Writing ------------------------------------------------------------------------------------------------ */

static ssize_t write_some(const struct access_log *a)
{
    return a->socket ? send(a->fd, a->buffer, a->used, MSG_DONTWAIT | MSG_NOSIGNAL)
                     : write(a->fd, a->buffer, a->used);
}

static void drop_all(struct access_log *a)
{
    for (size_t i = 0; i < a->used; i++)
        a->dropped += a->buffer[i] == '\n';
    a->used = 0;
    if (a->torn) /* half a line is out: what comes next begins a line of its own */
        a->buffer[a->used++] = '\n';
    a->torn = false;
}

void access_log_flush(struct access_log *a)
{
    if (a->fd < 0 || a->used == 0)
        return;
    ssize_t n = write_some(a);
    if (n > 0) {
        a->torn = a->buffer[n - 1] != '\n';
        a->used -= (size_t)n;
        memmove(a->buffer, a->buffer + n, a->used);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        drop_all(a);
    }
}

enum err access_log_use(struct access_log *a, int fd, bool json, bool query)
{
    struct stat st;
    access_log_flush(a);
    if (a->fd >= 0) {
        drop_all(a);
        close(a->fd);
    }
    a->fd = fd;
    a->json = json;
    a->query = query;
    a->used = 0;
    a->torn = false;
    a->socket = fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    if (fd >= 0 && !a->buffer)
        a->buffer = malloc(ACCESS_BUFFER);
    if (fd < 0 || a->buffer)
        return ERR_OK;
    close(fd);
    a->fd = -1;
    return ERR_MEMORY;
}

void access_log_free(struct access_log *a)
{
    (void)access_log_use(a, -1, false, false);
    while (!SLIST_EMPTY(&a->free)) {
        struct access_note *n = SLIST_FIRST(&a->free);
        SLIST_REMOVE_HEAD(&a->free, free);
        free(n);
    }
    free(a->buffer);
    a->buffer = NULL;
}

/* A line ------------------------------------------------------------------------------------------------- */

static void put(struct access_log *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* There is room for ENTRY_MAX. */
static void put(struct access_log *a, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(a->buffer + a->used, ACCESS_BUFFER - a->used, format, ap);
    va_end(ap);
    a->used += n > 0 ? (size_t)n : 0;
}

/* What a stranger chose. A byte above ASCII is written as the Latin-1 character in JSON: valid whatever it
 * was meant to be. */
static void put_escaped(struct access_log *a, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        char *at = a->buffer + a->used;
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            *at = (char)c;
            a->used++;
            continue;
        }
        const char prefix[] = {'\\', a->json ? 'u' : 'x', '0', '0'};
        size_t length = a->json ? 4 : 2;
        memcpy(at, prefix, length);
        at[length] = hex[c >> 4];
        at[length + 1] = hex[c & 15];
        a->used += length + 2;
    }
}

/* The text of this second, made once for all its lines. */
static void make_stamp(struct access_log *a, int64_t second)
{
    time_t t = (time_t)second;
    struct tm tm;
    if (a->stamp[0] && a->stamp_second == second)
        return;
    gmtime_r(&t, &tm);
    strftime(a->stamp, sizeof a->stamp, a->json ? "%Y-%m-%dT%H:%M:%S" : "%d/%b/%Y:%H:%M:%S +0000", &tm);
    a->stamp_second = second;
}

static const char *protocol(const struct access_note *n)
{
    return n->websocket ? "wss" : n->http[0] == '2' ? "h2" : "h1";
}

static const char *const ends[] = {
    [ACCESS_COMPLETE] = "complete", [ACCESS_ABORTED] = "aborted", [ACCESS_GONE] = "gone"};

static void put_json(struct access_log *a, const struct access_note *n, const char *client, double now)
{
    put(a, "{\"time\":\"%s.%03uZ\",\"client\":\"%s\",\"method\":\"", a->stamp,
        (unsigned)((now - (double)a->stamp_second) * 1000), client);
    put_escaped(a, n->method, n->method_n);
    put(a, "\",\"url\":\"");
    put_escaped(a, n->url, n->url_n);
    put(a, "\",\"protocol\":\"%s\",\"http\":\"%s\",\"status\":%u,\"bytes_in\":%llu,\"bytes_out\":%llu",
        protocol(n), n->http, n->status, (unsigned long long)n->bytes_in, (unsigned long long)n->bytes_out);
    put(a, ",\"duration_ms\":%.3f", n->total * 1000);
    if (n->first >= 0)
        put(a, ",\"first_byte_ms\":%.3f", n->first * 1000);
    put(a, ",\"end\":\"%s\",\"request\":\"%s\"", ends[n->end], n->id);
    if (n->core[0]) {
        put(a, ",\"core\":\"");
        put_escaped(a, n->core, strlen(n->core));
        put(a, "\",\"tunnel\":%d", n->tunnel);
    }
    put(a, ",\"user_agent\":\"");
    put_escaped(a, n->agent, n->agent_n);
    put(a, "\"}\n");
}

/* Apache's combined format (the referrer, which may hold secrets, is always "-"), and our own behind it. */
static void put_combined(struct access_log *a, const struct access_note *n, const char *client)
{
    put(a, "%s - - [%s] \"", client, a->stamp);
    put_escaped(a, n->method_n ? n->method : "-", n->method_n ? n->method_n : 1);
    put(a, " ");
    put_escaped(a, n->url_n ? n->url : "-", n->url_n ? n->url_n : 1);
    put(a, " HTTP/%s\" %u %llu \"-\" \"", n->http, n->status, (unsigned long long)n->bytes_out);
    put_escaped(a, n->agent_n ? n->agent : "-", n->agent_n ? n->agent_n : 1);
    put(a, "\" request=%s protocol=%s in=%llu ms=%.3f", n->id, protocol(n), (unsigned long long)n->bytes_in,
        n->total * 1000);
    if (n->first >= 0)
        put(a, " first_ms=%.3f", n->first * 1000);
    if (n->core[0]) {
        put(a, " core=\"");
        put_escaped(a, n->core, strlen(n->core));
        put(a, "\" tunnel=%d", n->tunnel);
    }
    put(a, " end=%s\n", ends[n->end]);
}

static void write_line(struct access_log *a, const struct access_note *n, double now)
{
    char client[NETADDR_TEXT];
    if (ACCESS_BUFFER - a->used < ENTRY_MAX)
        access_log_flush(a);
    if (ACCESS_BUFFER - a->used < ENTRY_MAX) {
        a->dropped++; /* nobody has taken anything for long */
        return;
    }
    netaddr_print_ip(&n->client, client);
    make_stamp(a, (int64_t)now);
    if (a->json)
        put_json(a, n, client, now);
    else
        put_combined(a, n, client);
    a->lines++;
    if (a->used > ACCESS_BUFFER / 2)
        access_log_flush(a);
}

/* Notes -------------------------------------------------------------------------------------------------- */

static uint16_t copy(char *out, size_t size, size_t used, struct span s)
{
    size_t n = s.len < size - used ? s.len : size - used;
    if (n)
        memcpy(out + used, s.at, n);
    return (uint16_t)(used + n);
}

static void note_message(struct access_note *n, const struct http_message *m, bool tls, bool query)
{
    struct span path = http_message_path(m), agent = http_message_find(m, "user-agent");
    const char *cut = path.len && !query ? memchr(path.at, '?', path.len) : NULL;
    if (cut)
        path.len = (size_t)(cut - path.at);
    n->websocket = m->websocket;
    n->method_n = copy(n->method, sizeof n->method, 0, http_message_method(m));
    n->url_n = copy(n->url, sizeof n->url, 0, span_from(tls ? "https://" : "http://"));
    n->url_n = copy(n->url, sizeof n->url, n->url_n, http_message_authority(m));
    n->url_n = copy(n->url, sizeof n->url, n->url_n, path);
    if (agent.at)
        n->agent_n = copy(n->agent, sizeof n->agent, 0, agent);
}

struct access_note *access_log_begin(struct access_log *a, const struct netaddr *client, const char *http,
                                     bool tls, const struct http_message *m)
{
    if (!access_log_on(a))
        return NULL;
    struct access_note *n = SLIST_FIRST(&a->free);
    if (n) {
        SLIST_REMOVE_HEAD(&a->free, free);
        a->n_free--;
    } else {
        n = malloc(sizeof *n);
    }
    if (!n)
        return NULL;
    memset(n, 0, offsetof(struct access_note, method)); /* the texts are as long as they say */
    n->client = *client;
    n->http = http;
    n->first = -1;
    if (m)
        note_message(n, m, tls, a->query);
    return n;
}

void access_log_end(struct access_log *a, struct access_note *n, double now)
{
    if (!n)
        return;
    if (n->status == 0)
        n->status = STATUS_GONE;
    if (access_log_on(a))
        write_line(a, n, now);
    if (a->n_free >= NOTES_KEPT) {
        free(n);
        return;
    }
    SLIST_INSERT_HEAD(&a->free, n, free);
    a->n_free++;
}
