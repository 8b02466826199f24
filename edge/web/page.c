#include "edge/web/page.h"

#include <stdio.h>
#include <string.h>

/* status, seconds for Retry-After (0: none), what a guest may do, where an administrator looks. */
#define PAGES(X)                                                                                             \
    X(400, 0, "Your browser sent a request that could not be understood. Open the meeting link again.",      \
      "The reason is in the edge's log, in the event 'Request Refused' of this request.")                    \
    X(403, 0, "This address is not open to guests. Check the meeting link.",                                 \
      "No rule of the allow list covers it: the event 'Request Refused' in the edge's log says what is "     \
      "missing, and 'stile-core allow test URL' tries an address.")                                          \
    X(408, 0, "The request took too long to arrive. Check your network and try again.",                      \
      "The sender stayed below the smallest rate or beyond the longest time that is allowed.")               \
    X(414, 0, "The address is too long. Open the meeting link again.",                                       \
      "The limit is 16 KB for the request's address.")                                                       \
    X(417, 0, "The request asks for something that is not done here. Try again with another browser.",       \
      "The header Expect may say nothing but 100-continue.")                                                 \
    X(421, 0, "This server does not serve that name. Check the meeting link.",                               \
      "The name in the request is no join host, or differs from the one in the TLS handshake: the event "    \
      "'Request Refused' in the edge's log says which.")                                                     \
    X(426, 0, "Your browser speaks a WebSocket version that is not served here. Update it.",                 \
      "Version 13 is served, no other.")                                                                     \
    X(429, 10, "Too many requests came from your address. Try again in a few seconds.",                      \
      "web_limits.request_rate and request_burst say how many one address may make; bans.exempt excepts "    \
      "it.")                                                                                                 \
    X(431, 0, "The request has too many or too large headers. Delete this site's cookies and try again.",    \
      "The limits are 128 header fields and 64 KB together.")                                                \
    X(500, 0, "Something went wrong here. Try again.", "The edge's log has the reason, under this request.") \
    X(501, 0, "This kind of request is not served here. Open the meeting link again.",                       \
      "CONNECT, and tunnels but WebSockets, are never served.")                                              \
    X(502, 5, "The conference service cannot be reached at the moment. Try again in a few seconds.",         \
      "Run 'stile-edge status': it says for each tunnel whether it is up, and if not, why.")                 \
    X(503, 5, "The conference service is busy. Try again in a few seconds.",                                 \
      "Every tunnel carries as many requests as it can. 'stile-edge status' shows how many.")                \
    X(504, 0, "The conference service did not answer in time. Try again.",                                   \
      "Run 'stile-core status': it shows the state of each web bridge.")                                     \
    X(505, 0, "Your browser speaks a version of HTTP that is not served here. Update it.",                   \
      "HTTP/1.0, HTTP/1.1 and HTTP/2 are served.")

/* What core says about an answer of its own (stile-reason), for the administrator. */
#define REASONS(X)                                                                                           \
    X("malformed", "Core could not bring the request into canonical form: its log has the reason.")          \
    X("not-allowed",                                                                                         \
      "No rule of core's allow list covers this address: its log names the one that is missing.")            \
    X("wrong-host", "No rule of core's allow list is for this host and port.")                               \
    X("no-target", "No web bridge is Active: 'stile-core status' shows each with its reason.")               \
    X("connect-failed",                                                                                      \
      "No web bridge took the connection: 'stile-core status' shows each with its reason.")                  \
    X("bridge-closed", "The web bridge ended the connection before it had answered: see core's log.")        \
    X("bad-response", "The web bridge's answer broke the rules of HTTP: see core's log.")                    \
    X("busy", "Core has as many requests as it takes at once: 'stile-core status' shows how many.")          \
    X("timeout", "The web bridge did not answer in time: see core's log.")

struct page_row {
    unsigned status, retry_after;
    const char *guest, *admin;
};

static const struct page_row rows[] = {
#define X(status, retry_after, guest, admin) {status, retry_after, guest, admin},
    PAGES(X)
#undef X
};

static const struct page_row *row_find(unsigned status)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return &rows[i];
    return &rows[0];
}

static const char *admin_hint(const struct page_row *row, const char *reason)
{
#define X(name, hint)                                                                                        \
    if (reason && strcmp(reason, name) == 0)                                                                 \
        return hint;
    REASONS(X)
#undef X
    return row->admin;
}

static enum err write_body(unsigned status, const struct page_row *row, const char *hint,
                           const char *request_id, struct buf *body)
{
    const char *reason = http_status_reason(status);
    enum err e = buf_printf(
        body,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><title>%u %s</title></head>\n"
        "<body style=\"font-family:sans-serif;line-height:1.5;max-width:40em;margin:3em auto;padding:0 1em;"
        "overflow-wrap:anywhere\">\n"
        "<h1>%s</h1>\n<p>%s</p>\n",
        status, reason, reason, row->guest);
    if (e == ERR_OK && hint[0])
        e = buf_printf(body, "<p><small>For the administrator: %s</small></p>\n", hint);
    if (e == ERR_OK && request_id)
        e = buf_printf(body, "<p><small>Request %s</small></p>\n", request_id);
    return e == ERR_OK ? buf_append_str(body, "</body></html>\n") : e;
}

enum err page_make(unsigned status, const char *reason, const char *request_id, struct http_message *m,
                   struct buf *body)
{
    const struct page_row *row = row_find(status);
    char seconds[16];
    m->status = status;
    enum err e = write_body(status, row, admin_hint(row, reason), request_id, body);
    m->content_length = (int64_t)buf_len(body);
    if (e == ERR_OK)
        e = http_message_add_str(m, "content-type", "text/html; charset=utf-8");
    if (e == ERR_OK)
        e = http_message_add_str(m, "cache-control", "no-store");
    snprintf(seconds, sizeof seconds, "%u", row->retry_after);
    if (e == ERR_OK && row->retry_after)
        e = http_message_add_str(m, "retry-after", seconds);
    if (e == ERR_OK && status == 426)
        e = http_message_add_str(m, "sec-websocket-version", "13");
    return e;
}

enum err page_make_redirect(unsigned status, const char *url, struct http_message *m, struct buf *body)
{
    (void)body;
    m->status = status;
    m->no_body = true;
    m->content_length = 0;
    return http_message_add_str(m, "location", url);
}
