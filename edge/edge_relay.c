/* The verb `relay` {"id": "IP:PORT", a relayed address} -> one relay, whichever worker has it. `status` lists
 * relays up to a bound; this one finds each of them. */
#include <stdio.h>
#include <stdlib.h>

#include "common/gather.h"
#include "common/netaddr.h"
#include "edge/edge.h"

static const double relay_patience = 1.0; /* as `status` has */

/* The asker may go before the workers have answered. */
struct edge_relay_search {
    struct request *request;
    struct gather *gather;
    char id[NETADDR_TEXT];
    size_t asked;
};

static void relay_refuse(struct request *r, const char *code, json_int_t status, const char *id,
                         const char *words)
{
    request_answer(r, json_pack("{ss ss* sI so}", "type", "error", "code", code, "status", status, "reason",
                                json_sprintf("%s: %s", id, words)));
}

static json_t *relay_found(const json_t *results)
{
    json_t *result;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)results, i, result) {
        json_t *relay = json_object_get(edge_status_part(result, "turn"), "relay");
        if (json_is_object(relay))
            return relay;
    }
    return NULL;
}

/* That there is no such relay is known when every worker has said so. */
static void relay_done(void *search, json_t *results)
{
    struct edge_relay_search *s = search;
    json_t *relay = relay_found(results);
    if (relay) {
        json_object_set_new(relay, "type", json_string("relay"));
        request_answer(s->request, json_incref(relay));
    } else if (json_array_size(results) < s->asked) {
        relay_refuse(s->request, NULL, 503, s->id, "a TURN worker did not answer in time; try again");
    } else {
        relay_refuse(
            s->request, "not_found", 404, s->id,
            "no relay has this address, or none has it any more; 'stile-edge relay list' shows those in use");
    }
    free(s);
}

static void relay_gone(void *search)
{
    struct edge_relay_search *s = search;
    gather_cancel(s->gather);
    free(s);
}

static json_t *relay_question(void *search, struct worker *w)
{
    struct edge_relay_search *s = search;
    if (!worker_running(w))
        return NULL;
    s->asked++;
    return json_pack("{ss sb ss}", "type", "status", "brief", 1, "relay", s->id);
}

void edge_relay_request(void *edge, struct request *r, const json_t *msg)
{
    struct edge *e = edge;
    const char *id = json_string_value(json_object_get(msg, "id"));
    struct edge_relay_search *s = calloc(1, sizeof *s);
    struct netaddr relayed;
    if (!id || netaddr_parse(id, 0, &relayed) != ERR_OK || !relayed.port) {
        free(s);
        relay_refuse(r, "invalid", 422, "id",
                     "is a relayed address with its port, 192.0.2.1:24000 or [2001:db8::1]:24000");
        return;
    }
    if (s) {
        s->request = r;
        netaddr_print(&relayed, s->id);
        s->gather = gather_ask(e->loop, e->turn, e->n_turn, relay_question, relay_patience, relay_done, s);
    }
    if (!s || !s->gather) {
        free(s);
        request_refuse(r, "out of memory");
        return;
    }
    request_on_gone(r, relay_gone, s);
}
