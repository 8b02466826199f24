/* What strangers can cause is written down, but never faster than the limits below. */
#include <stdio.h>
#include <string.h>

#include "core/egress/egress_internal.h"

enum {
    EVENTS_BURST = 20,
    EVENTS_SECONDS = 10,
    CLIENT_TEXT = 128,
    METHOD_TEXT = 64,
    URL_TEXT = 384,
    ID_TEXT = 96,
    FAILURE_TEXT = 512
};

/* The URL as it was asked for; the query may hold secrets and stays out. */
static const char *url_as_asked(const struct http_message *m, char *out, size_t size)
{
    struct span host = http_message_authority(m), path = http_message_path(m);
    char text[URL_TEXT];
    const char *query = path.len ? memchr(path.at, '?', path.len) : NULL;
    size_t path_len = query ? (size_t)(query - path.at) : path.len;
    int n = snprintf(text, sizeof text, "%s://%.*s%.*s", m->websocket ? "wss" : "https",
                     (int)(host.len < 200 ? host.len : 200), host.at,
                     (int)(path_len < URL_TEXT ? path_len : URL_TEXT), path.at);
    return log_quote(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1, out, size);
}

void egress_note_refusal(struct egress *e, const struct http_message *m, enum egress_reason reason,
                         const char *why)
{
    char client[CLIENT_TEXT], method[METHOD_TEXT], url[URL_TEXT], quoted[ALLOWLIST_WHY + 64], id[ID_TEXT];
    struct span from = http_message_find(m, "x-forwarded-for"), verb = http_message_method(m);
    struct span named = http_message_find(m, "x-request-id");
    struct egress_refusal r = {
        .status = egress_reason_status(reason), .client = client, .method = method, .url = url, .why = why};
    e->count.by_reason[reason]++;
    if (!log_limit_allow(&e->refusals, (int64_t)e->now, EVENTS_BURST, EVENTS_SECONDS, &r.dropped))
        return;
    log_quote(from.at ? from.at : "", from.len, client, sizeof client);
    log_quote(verb.at, verb.len, method, sizeof method);
    url_as_asked(m, url, sizeof url);
    log_quote(named.at ? named.at : "", named.len, id, sizeof id);
    log_event(LOG_NOTICE, "Request Refused",
              "client=%s method=%s url=%s status=%u reason=%s request=%s dropped=%u", r.client, r.method,
              r.url, r.status, log_quote(why, strlen(why), quoted, sizeof quoted), id, r.dropped);
    if (e->events->on_refused)
        e->events->on_refused(e->ctx, &r);
}

void egress_note_unreachable(struct egress *e, const char *target, const char *words)
{
    unsigned dropped;
    char quoted[FAILURE_TEXT];
    e->count.unreachable++;
    if (log_limit_allow(&e->unreachables, (int64_t)e->now, EVENTS_BURST, EVENTS_SECONDS, &dropped))
        log_event(LOG_WARNING, "Target Unreachable", "target=%s reason=%s dropped=%u", target,
                  log_quote(words, strlen(words), quoted, sizeof quoted), dropped);
}

void egress_note_failure(struct egress *e, enum egress_reason r, const char *target, const char *request,
                         const char *words)
{
    unsigned dropped;
    char quoted[FAILURE_TEXT], id[ID_TEXT];
    e->count.by_reason[r]++;
    if (log_limit_allow(&e->failures, (int64_t)e->now, EVENTS_BURST, EVENTS_SECONDS, &dropped))
        log_event(LOG_WARNING, "Request Failed", "target=%s status=%u why=%s reason=%s request=%s dropped=%u",
                  target ? target : "none", egress_reason_status(r), egress_reason_words(r),
                  log_quote(words, strlen(words), quoted, sizeof quoted),
                  log_quote(request, strlen(request), id, sizeof id), dropped);
}
