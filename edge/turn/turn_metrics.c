#include "edge/turn/turn_metrics.h"

#include <string.h>

#include "edge/turn/turn_alarm.h"
#include "edge/turn/turn_counters.h"

static const struct metrics_row rows[] = {
    {"stile_turn_allocations", METRICS_GAUGE, "allocations", NULL, NULL, "allocations that exist"},
    {"stile_turn_connections", METRICS_GAUGE, "connections", NULL, NULL, "clients on streams and in DTLS sessions"},
    {"stile_turn_handshakes", METRICS_GAUGE, "handshakes", NULL, NULL, "TLS and DTLS handshakes that go on"},
    {"stile_turn_draining", METRICS_GAUGE, "draining", NULL, NULL, "1 while new allocations are refused"},
    {"stile_turn_requests_total", METRICS_COUNTER, "counters.requests.*", "method", NULL,
     "requests received, by STUN method"},
    {"stile_turn_successes_total", METRICS_COUNTER, "counters.successes.*", "method", NULL,
     "requests answered with success, by STUN method"},
    {"stile_turn_errors_total", METRICS_COUNTER, "counters.errors.*", "code", NULL,
     "requests answered with an error, by its code"},
    {"stile_turn_dropped_packets_total", METRICS_COUNTER, "counters.drops.*", "reason", NULL,
     "packets that were dropped, by reason"},
    {"stile_turn_limit_refusals_total", METRICS_COUNTER, "counters.limits.*", "limit", NULL,
     "allocations refused as something is used up, by what"},
    {"stile_turn_relayed_packets_total", METRICS_COUNTER, "counters.from_clients.*.packets", "transport",
     "direction=\"from_client\"", "packets relayed, by the client's transport"},
    {"stile_turn_relayed_packets_total", METRICS_COUNTER, "counters.to_clients.*.packets", "transport",
     "direction=\"to_client\"", NULL},
    {"stile_turn_relayed_bytes_total", METRICS_COUNTER, "counters.from_clients.*.bytes", "transport",
     "direction=\"from_client\"", "payload relayed, by the client's transport"},
    {"stile_turn_relayed_bytes_total", METRICS_COUNTER, "counters.to_clients.*.bytes", "transport",
     "direction=\"to_client\"", NULL},
#define X(name, words)                                                                                       \
    {"stile_turn_" #name "_total", METRICS_COUNTER, "counters.events." #name, NULL, NULL, words},
    TURN_EVENT_TABLE(X)
#undef X
        {0},
};

/* All workers have the same ports in view: the first one's word is enough. */
static void ports(struct metrics *m, const json_t *workers, const char *name, const char *member,
                  const char *help)
{
    size_t i;
    json_t *address;
    metrics_family(m, name, METRICS_GAUGE, help);
    json_array_foreach (json_object_get(json_array_get(workers, 0), "ports"), i, address)
        metrics_value(m, json_number_value(json_object_get(address, member)), "address",
                      json_string_value(json_object_get(address, "address")), NULL);
}

void turn_metrics(struct metrics *m, const json_t *workers)
{
    metrics_rows(m, rows, workers, "worker");
    ports(m, workers, "stile_turn_relay_ports", "all", "relay ports of an address");
    ports(m, workers, "stile_turn_relay_ports_used", "used",
          "relay ports in use or reserved, by all workers");
    metrics_family(m, "stile_turn_total_quota", METRICS_GAUGE,
                   "allocations that there may be in all workers, 0: no such limit");
    const json_t *quota = json_object_get(json_array_get(workers, 0), "quota");
    if (quota)
        metrics_value(m, json_number_value(json_object_get(quota, "total")), NULL);
}
