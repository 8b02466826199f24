/* What an attacker in the DMZ may send down a data channel: HTTP/2 into core's egress, whose only bridge
 * refuses connections. The first byte says in what pieces the rest comes. */
#include <ev.h>
#include <jansson.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/tls.h"
#include "core/egress/egress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ev_loop *loop;
static struct egress *egress;

static void on_target_failed(void *ctx, const char *host, const struct netaddr *addr, const char *reason)
{
    (void)host;
    (void)ctx, (void)addr;
    if (!reason)
        abort();
}

static void on_refused(void *ctx, const struct egress_refusal *r)
{
    (void)ctx;
    if (!r->client || !r->method || !r->url || !r->why || r->status < 400)
        abort();
}

static void on_output(void *ctx)
{
    (void)ctx;
}

static const struct egress_events events = {on_target_failed, on_refused};
static const struct egress_session_events session_events = {on_output};

static void start(void)
{
    char *cert, *key, why[512];
    json_t *rules =
        json_pack("[{ss ss si ss ss s[s s s]} {ss ss si ss ss s[s]}]", "scheme", "https", "host", "j.example",
                  "port", 443, "match", "prefix", "path", "/", "methods", "GET", "POST", "HEAD", "scheme",
                  "wss", "host", "j.example", "port", 443, "match", "prefix", "path", "/", "methods", "GET");
    json_t *targets = json_pack("[{ss ss si si si ss}]", "name", "b", "address", "127.0.0.1", "port", 1,
                                "priority", 0, "weight", 0, "state", "active");
    log_set_level(LOG_EMERG);
    loop = ev_loop_new(0);
    egress = egress_new(loop, &events, NULL);
    if (tls_self_signed("j.example", 1, &cert, &key) != ERR_OK)
        abort();
    json_t *domains =
        json_pack("[{ss s[s] ss}]", "host", "j.example", "hosts", "j.example", "bridge_ca", cert);
    if (egress_set_policy(egress, rules, domains, why, sizeof why) != ERR_OK)
        abort();
    egress_set_targets(egress, "j.example", targets);
    json_decref(domains);
    json_decref(rules);
    json_decref(targets);
    free(cert);
    free(key);
}

static enum err fetch(struct egress_session *s)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    enum err e = egress_session_send(s, &out, 64 * 1024);
    buf_free(&out);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    if (!egress)
        start();
    if (size == 0)
        return 0;
    size_t piece = data[0] ? data[0] * 4u : size;
    struct egress_session *s = egress_session_new(egress, &session_events, NULL);
    if (!s)
        abort();
    enum err e = egress_session_receive(s, (const uint8_t *)preface, sizeof preface - 1);
    for (size_t at = 1; e == ERR_OK && at < size; at += piece) {
        e = egress_session_receive(s, data + at, size - at < piece ? size - at : piece);
        if (fetch(s) != ERR_OK)
            break;
        ev_run(loop, EVRUN_NOWAIT);
    }
    (void)fetch(s);
    ev_run(loop, EVRUN_NOWAIT);
    egress_session_free(s);
    ev_run(loop, EVRUN_NOWAIT);
    if (egress_running(egress) != 0)
        abort();
    return 0;
}
