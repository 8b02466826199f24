#include "edge/web/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/digits.h"
#include "edge/web/page.h"
#include "edge/web/uplink.h"
#include "proto/canonical.h"
#include "proto/h2_session.h"
#include "proto/http_hygiene.h"

enum {
    REQUEST_ID_TEXT = 24,
    /* One attempt, and two more: when core dies, its tunnels do so one after the other, and the first retry
     * may meet the next one in its last moment. A request that kills whoever reads it shall not get round
     * further. */
    SENDS_MAX = 3,
};

struct request {
    struct web *web;
    const struct request_guest *guest;
    void *ctx;
    struct h2_stream *stream;  /* NULL: not sent, or done with */
    struct http_message again; /* the head, while it waits or may be sent once more; else empty */
    struct waiter waiter;
    uint32_t consumed;        /* bytes of the answer, until its window is wide */
    double began, sent;       /* web->now when it began, and when it was last sent up */
    struct access_note *note; /* for the access log; NULL: it is off */
    char id[REQUEST_ID_TEXT + 1];
    bool tls;
    bool head; /* HEAD: an answer has no body */
    bool websocket;
    bool answered;       /* on_head was called */
    bool aborted;        /* on_abort was called */
    bool over;           /* the answer is complete or given up */
    bool body_ended;     /* request_end was called, or there was no body */
    unsigned char sends; /* how often it was sent up */
};

struct request *request_new(struct web *w, const struct request_guest *guest, void *ctx)
{
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->web = w;
    r->guest = guest;
    r->ctx = ctx;
    r->began = w->now;
    r->waiter.request = r;
    http_message_init(&r->again);
    digits_put_hex(digits_put_hex(r->id, w->id_high, 16), w->id_low++, 8);
    return r;
}

/* The stream goes on alone, or is ended if anything on it is unfinished. */
static void let_stream_go(struct request *r, uint32_t code)
{
    waiting_remove(r->web, &r->waiter);
    if (!r->stream)
        return;
    h2_stream_set_ctx(r->stream, NULL);
    if (!r->over || !r->body_ended)
        uplink_give_up(r->stream, code);
    r->stream = NULL;
}

/* The access log ---------------------------------------------------------------------------------------- */

static void note_begin(struct request *r, const struct request_origin *origin, const struct http_message *m)
{
    r->note = access_log_begin(&r->web->access_log, origin->client, origin->received, origin->tls, m);
}

static void note_uplink(struct request *r, const struct uplink *u)
{
    if (!r->note)
        return;
    snprintf(r->note->core, sizeof r->note->core, "%s", uplink_core(u));
    r->note->tunnel = uplink_tunnel(u);
}

static void note_head(struct request *r, unsigned status)
{
    if (!r->note)
        return;
    bool upgraded = r->websocket && status == 200 && r->note->http[0] == '1';
    r->note->status = upgraded ? 101 : status;
    r->note->first = r->web->now - r->began;
}

static void note_bytes(struct request *r, size_t in, size_t out)
{
    if (!r->note)
        return;
    r->note->bytes_in += in;
    r->note->bytes_out += out;
}

static void note_end(struct request *r)
{
    struct access_note *n = r->note;
    if (!n)
        return;
    n->id = r->id;
    n->total = r->web->now - r->began;
    n->end = r->aborted ? ACCESS_ABORTED : r->over ? ACCESS_COMPLETE : ACCESS_GONE;
    access_log_end(&r->web->access_log, n, ev_now(r->web->loop));
}

void request_free(struct request *r)
{
    if (!r)
        return;
    let_stream_go(r, H2_CANCEL);
    if (r->over && !r->websocket)
        histogram_add(&r->web->latency.edge, r->web->now - r->began);
    note_end(r);
    http_message_free(&r->again);
    free(r);
}

/* Answers of our own ----------------------------------------------------------------------------------- */

/* RFC 9110 §6.6.1: who makes an answer says when. Without memory for it the answer goes without. */
static void add_date(const struct web *w, struct http_message *m)
{
    char text[64];
    time_t now = (time_t)ev_now(w->loop);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    (void)http_message_add_str(m, "date", text);
}

/* RFC 6797 §7.1 and §7.2: over TLS only. A bridge that says it itself knows better. */
static void add_hsts(const struct web *w, struct http_message *m)
{
    if (w->hsts[0] && !http_message_find(m, "strict-transport-security").at)
        (void)http_message_add_str(m, "strict-transport-security", w->hsts);
}

/* A finished answer to the guest. The request may be gone after the first callback; the guest is not. */
static void answer_page(struct request *r, struct http_message *m, const struct buf *body)
{
    const struct request_guest *guest = r->guest;
    void *ctx = r->ctx;
    bool bodiless = r->head || buf_len(body) == 0;
    r->web->counters.statuses[m->status]++;
    r->answered = r->over = true;
    add_date(r->web, m);
    if (r->tls)
        add_hsts(r->web, m);
    m->no_body = bodiless;
    note_head(r, m->status);
    note_bytes(r, 0, bodiless ? 0 : buf_len(body));
    guest->on_head(ctx, m, bodiless);
    if (bodiless)
        return;
    guest->on_data(ctx, buf_data(body), buf_len(body));
    guest->on_end(ctx, NULL);
}

/* Without memory even for a page. */
static void give_up(struct request *r)
{
    r->over = r->aborted = true;
    r->guest->on_abort(r->ctx);
}

static void answer_reason(struct request *r, unsigned status, const char *reason)
{
    struct http_message m;
    struct buf body;
    http_message_init(&m);
    buf_init(&body, 16 * 1024);
    let_stream_go(r, H2_CANCEL);
    http_message_free(&r->again);
    if (page_make(status, reason, r->id, &m, &body) == ERR_OK) {
        answer_page(r, &m, &body);
    } else {
        give_up(r);
    }
    buf_free(&body);
    http_message_free(&m);
}

static void answer_status(struct request *r, unsigned status)
{
    answer_reason(r, status, NULL);
}

/* One event for all refusals: who wanted what, and what was missing. */
static void tell_refusal(struct request *r, const struct request_origin *origin, struct span method,
                         const char *url, unsigned status, const char *why)
{
    char client[NETADDR_TEXT];
    struct web *w = r->web;
    struct log_limit *l = status == 400 ? &w->malformed_log : &w->refused_log;
    web_event(w, l, "Request Refused",
              json_pack("{s:s, s:s%, s:s, s:i, s:s, s:s}", "client", netaddr_print_ip(origin->client, client),
                        "method", method.at, method.len, "url", url, "status", (int)status, "reason", why,
                        "request", r->id));
}

void request_start_malformed(struct request *r, const struct request_origin *origin,
                             const struct http1_failure *why)
{
    r->web->counters.requests++;
    r->web->counters.malformed++;
    r->tls = origin->tls;
    if (why->status != 408) /* a slow network is no offence */
        offence_note(r->web, origin->client, BAN_malformed);
    note_begin(r, origin, NULL);
    tell_refusal(r, origin, span_from(""), "", why->status, why->words);
    answer_status(r, why->status);
}

/* RFC 8555 §8.3: the text alone. */
static void answer_challenge(struct request *r, const char *text)
{
    struct http_message answer;
    struct buf body;
    http_message_init(&answer);
    buf_init(&body, ACME_ANSWER_MAX);
    answer.status = 200;
    answer.content_length = (int64_t)strlen(text);
    if (http_message_add_str(&answer, "content-type", "application/octet-stream") == ERR_OK &&
        buf_append_str(&body, text) == ERR_OK)
        answer_page(r, &answer, &body);
    else
        give_up(r);
    buf_free(&body);
    http_message_free(&answer);
}

/* Port 80: to the same path on HTTPS, for hosts of the allow-list only, so that nobody can make us point
 * elsewhere. */
static void answer_redirect(struct request *r, const struct request_origin *origin,
                            const struct http_message *m)
{
    static char path[CANONICAL_PATH_MAX + 1],
        url[CANONICAL_HOST_MAX + CANONICAL_PATH_MAX + HTTP_TARGET_MAX + 32];
    struct canonical_authority a;
    struct span query, scheme = http_message_scheme(m), method = http_message_method(m);
    const char *why = "the scheme is not http";
    uint16_t rule_port;
    size_t len;
    enum err e = scheme.len && !span_is(scheme, "http") ? ERR_MALFORMED : ERR_OK;
    if (e == ERR_OK)
        e = canonical_authority(http_message_authority(m), 80, &a, &why);
    if (e == ERR_OK)
        e = canonical_path(http_message_path(m), path, &len, &query, &why);
    if (e != ERR_OK || !allowlist_knows_host(&r->web->allowlist, a.host, &rule_port)) {
        unsigned status = e == ERR_OK ? 421 : 400;
        if (status == 421)
            r->web->counters.refused_host++;
        else
            r->web->counters.malformed++;
        offence_note(r->web, origin->client, status == 421 ? BAN_refused : BAN_malformed);
        tell_refusal(r, origin, method, "", status, status == 421 ? "no rule is for this host" : why);
        answer_status(r, status);
        return;
    }
    bool plain = span_is(method, "GET") || span_is(method, "HEAD");
    const char *challenge = plain ? acme_find(&r->web->acme, path, len) : NULL;
    if (challenge) {
        answer_challenge(r, challenge);
        return;
    }
    int n = snprintf(url, sizeof url, "https://%s", a.host);
    if (rule_port != 443) /* hosts may differ in it */
        n += snprintf(url + n, sizeof url - (size_t)n, ":%u", (unsigned)rule_port);
    snprintf(url + n, sizeof url - (size_t)n, "%s%.*s", path, (int)query.len, query.at);
    struct http_message answer;
    struct buf none;
    http_message_init(&answer);
    buf_init(&none, 0);
    r->web->counters.redirected++;
    if (page_make_redirect(plain ? 301 : 308, url, &answer, &none) == ERR_OK)
        answer_page(r, &answer, &none);
    else
        give_up(r);
    http_message_free(&answer);
}

/* The rate of one address ------------------------------------------------------------------------------ */

/* True when the request has been answered: its client makes too many (RFC 6585 §4). */
static bool refuse_by_rate(struct request *r, const struct request_origin *origin)
{
    char client[NETADDR_TEXT];
    struct web *w = r->web;
    const struct web_limits *l = &w->limits;
    if (web_is_exempt(w, origin->client) ||
        address_rate_take(w->requests, origin->client, w->now, (double)l->request_rate,
                          (double)l->request_burst))
        return false;
    w->counters.refused_rate++;
    offence_note(w, origin->client, BAN_limits);
    web_event(w, &w->limit_log, "Request Rate Exceeded",
              json_pack("{s:s, s:I}", "client", netaddr_print_ip(origin->client, client), "limit",
                        (json_int_t)l->request_rate));
    answer_status(r, 429);
    return true;
}

/* Judging ---------------------------------------------------------------------------------------------- */

/* True when the request may go on; else it has been answered. */
static bool judge(struct request *r, const struct request_origin *origin, struct http_message *m)
{
    static struct canonical c;
    static struct allowlist_verdict v;
    struct web *w = r->web;
    char url[512] = "";
    const char *sni = origin->server_name;
    allowlist_judge(&w->allowlist, m, &c, &v);
    if (v.result != ALLOWLIST_MALFORMED && sni && strcasecmp(sni, c.authority.host) != 0) {
        v.result = ALLOWLIST_WRONG_HOST;
        v.status = 421;
        snprintf(v.why, sizeof v.why, "the host differs from the one in the TLS handshake");
    }
    if (v.result == ALLOWLIST_ALLOW && canonical_to_message(&c, m) == ERR_OK)
        return true;
    if (v.result == ALLOWLIST_ALLOW)
        v.status = 500;
    else if (v.result == ALLOWLIST_MALFORMED)
        w->counters.malformed++;
    else if (v.result == ALLOWLIST_WRONG_HOST)
        w->counters.refused_host++;
    else
        w->counters.refused_rule++;
    if (v.status != 500)
        offence_note(w, origin->client, v.result == ALLOWLIST_MALFORMED ? BAN_malformed : BAN_refused);
    if (v.result != ALLOWLIST_MALFORMED)
        canonical_print(&c, url, sizeof url);
    tell_refusal(r, origin, http_message_method(m), url, v.status, v.why);
    answer_status(r, v.status);
    return false;
}

/* Sending ---------------------------------------------------------------------------------------------- */

static bool is_safe(struct span method)
{
    return span_is(method, "GET") || span_is(method, "HEAD") || span_is(method, "OPTIONS");
}

/* Whether the head that was kept may go out once more. Until the first byte of an answer or of a body, which
 * is not kept, it is there. What core has surely not looked at may, whatever it is: RFC 9113 §8.7; streams
 * above the last one of a GOAWAY (§6.8) end with the same code. What core may have looked at, only without a
 * body and an effect (RFC 9110 §9.2.2): PUT and DELETE are idempotent too, but somebody else may have come in
 * between. */
static bool may_be_repeated(const struct request *r, uint32_t code, bool dead)
{
    if (r->sends >= SENDS_MAX || !r->again.n_fields)
        return false;
    return code == H2_REFUSED_STREAM ||
           (dead && r->body_ended && !r->websocket && is_safe(http_message_method(&r->again)));
}

static void keep(struct request *r, struct http_message *m)
{
    r->again = *m; /* taken over: m is empty now */
    http_message_init(m);
}

/* On an uplink, if possible not on avoid, or among those that wait for one; 0, or the status to answer. m is
 * taken over, but with a status. */
static unsigned send_up(struct request *r, struct http_message *m, const struct uplink *avoid)
{
    bool busy;
    struct web *w = r->web;
    struct uplink *u = uplink_choose(w, r->websocket, avoid, &busy);
    if (!u && !busy && waiting_add(w, &r->waiter)) {
        w->counters.waited++;
        keep(r, m);
        return 0;
    }
    if (!u) {
        w->counters.no_uplink++;
        return busy ? 503 : 502;
    }
    r->sent = w->now;
    r->sends++;
    note_uplink(r, u);
    if (h2_session_request(uplink_take(u, r->sends > 1), m, r->body_ended, r, &r->stream) != ERR_OK)
        return 503;
    keep(r, m);
    return 0;
}

/* The same with the head that was kept. False: it has been answered, and may be gone. */
static bool send_kept(struct request *r, const struct uplink *avoid)
{
    struct http_message m = r->again;
    http_message_init(&r->again);
    unsigned failed = send_up(r, &m, avoid);
    http_message_free(&m);
    if (failed)
        answer_status(r, failed);
    return failed == 0;
}

/* The same, and asks for the body that is still to come. */
static void go(struct request *r, const struct uplink *avoid)
{
    if (send_kept(r, avoid) && r->stream && (!r->body_ended || r->websocket))
        r->guest->on_room(r->ctx);
}

void request_go(struct request *r)
{
    go(r, NULL);
}

void request_waited(struct request *r)
{
    r->web->counters.no_uplink++;
    answer_status(r, 502);
}

void request_start(struct request *r, const struct request_origin *origin, struct http_message *m, bool end)
{
    struct web *w = r->web;
    struct http_hygiene_origin hygiene = {
        .client = origin->client, .received = origin->received, .request_id = r->id};
    w->counters.requests++;
    r->head = span_is(http_message_method(m), "HEAD");
    r->websocket = m->websocket;
    r->tls = origin->tls;
    r->body_ended = end;
    note_begin(r, origin, m);
    if (refuse_by_rate(r, origin))
        return;
    if (!origin->tls) {
        answer_redirect(r, origin, m);
        return;
    }
    if (!judge(r, origin, m))
        return;
    if (http_message_set_scheme(m, "https", 5) != ERR_OK || http_hygiene_request(m, &hygiene) != ERR_OK) {
        answer_status(r, 431);
        return;
    }
    r->waiter.client = *origin->client;
    unsigned failed = send_up(r, m, NULL);
    if (failed)
        answer_status(r, failed);
}

size_t request_room(const struct request *r)
{
    return r->stream ? h2_stream_room(r->stream) : r->waiter.waits ? 0 : SIZE_MAX;
}

void request_write(struct request *r, const uint8_t *data, size_t n)
{
    note_bytes(r, n, 0);
    if (r->stream && n && r->again.n_fields)
        http_message_free(&r->again); /* not without this piece */
    if (r->stream && h2_stream_write(r->stream, data, n) != ERR_OK)
        h2_stream_reset(r->stream, H2_INTERNAL_ERROR);
}

void request_end(struct request *r, const struct http_message *trailers)
{
    r->body_ended = true;
    if (r->stream && trailers && trailers->n_fields)
        http_message_free(&r->again); /* not without them */
    if (r->stream && h2_stream_end(r->stream, trailers) == ERR_MEMORY)
        h2_stream_reset(r->stream, H2_INTERNAL_ERROR);
}

size_t request_queued(const struct request *r)
{
    return r && r->stream ? h2_stream_queued(r->stream) : 0;
}

/* Whose reader has taken a wide window's worth reads: the kernel alone takes more than a narrow one for a guest that does not. */
static void widen_window(struct request *r, size_t n)
{
    if (r->consumed >= h2_limits_tunnel.stream_window)
        return;
    r->consumed += (uint32_t)n;
    if (r->consumed >= h2_limits_tunnel.stream_window)
        h2_stream_set_window(r->stream, h2_limits_tunnel.stream_window);
}

void request_consumed(struct request *r, size_t n)
{
    if (!r->stream)
        return;
    h2_stream_consume(r->stream, n);
    widen_window(r, n);
}

void request_timed_out(struct request *r)
{
    r->web->counters.timed_out++;
    answer_status(r, 504);
}

bool request_answered(const struct request *r)
{
    return r->answered;
}

const char *request_id(const struct request *r)
{
    return r->id;
}

/* What comes back -------------------------------------------------------------------------------------- */

/* Core answers by itself without a body, and says why in a field of its own: the page is ours. */
static bool core_answered(struct request *r, const struct http_message *m, bool end)
{
    char reason[32];
    struct span why = http_message_find(m, "stile-reason");
    if (!why.at || m->status < 400)
        return false;
    snprintf(reason, sizeof reason, "%.*s", (int)(why.len < 31 ? why.len : 31), why.at);
    web_event(r->web, &r->web->core_log, "Core Refused",
              json_pack("{s:i, s:s, s:s}", "status", (int)m->status, "reason", reason, "request", r->id));
    r->over = end;
    answer_reason(r, m->status, reason);
    return true;
}

void request_answer_head(struct request *r, struct http_message *m, bool end)
{
    if (core_answered(r, m, end))
        return;
    http_message_free(&r->again);
    histogram_add(&r->web->latency.tunnel, r->web->now - r->sent);
    http_hygiene_response(m);
    if (!m->websocket)
        add_hsts(r->web, m);
    r->web->counters.statuses[m->status]++;
    r->answered = true;
    r->over = end;
    note_head(r, m->status);
    const struct request_guest *guest = r->guest;
    void *ctx = r->ctx;
    bool ended_at_once = m->websocket && end; /* for the guest's side it is opened first */
    if (m->websocket)
        r->web->counters.websockets++;
    guest->on_head(ctx, m, end && !ended_at_once);
    if (ended_at_once)
        guest->on_end(ctx, NULL);
}

void request_answer_interim(struct request *r, struct http_message *m)
{
    http_hygiene_response(m);
    if (r->guest->on_interim)
        r->guest->on_interim(r->ctx, m);
}

void request_answer_data(struct request *r, const uint8_t *data, size_t n)
{
    note_bytes(r, 0, n);
    r->guest->on_data(r->ctx, data, n);
}

void request_answer_end(struct request *r, struct http_message *trailers)
{
    r->over = true;
    r->guest->on_end(r->ctx, trailers);
}

void request_answer_room(struct request *r)
{
    r->guest->on_room(r->ctx);
}

void request_answer_closed(struct request *r, uint32_t code, bool dead)
{
    const struct uplink *was = uplink_of(r->stream);
    r->stream = NULL;
    if (r->over)
        return;
    if (r->answered) {
        r->over = r->aborted = true;
        r->web->counters.aborted++;
        r->guest->on_abort(r->ctx);
    } else if (may_be_repeated(r, code, dead)) {
        r->web->counters.retried++;
        go(r, was);
    } else {
        answer_status(r, 502);
    }
}
