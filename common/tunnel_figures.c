#include "common/tunnel_figures.h"

#include <stdint.h>

#include "common/table.h"

void tunnel_figures_print(FILE *out, const struct tunnel_names *names, const json_t *rows)
{
    const struct table_column columns[] = {{names->title, names->peer, TABLE_TEXT},
                                           {"Tunnel", names->tunnel, TABLE_TEXT},
                                           {"RTT", "rtt_ms", TABLE_MS},
#define X(member, column, kind, metric, help) {column, #member, TABLE_##kind},
                                           TUNNEL_FIGURES(X)
#undef X
                                               {0}};
    if (json_array_size(rows) > 0)
        table_print(out, "Traffic of the tunnels", columns, rows, "");
}

static void family(struct metrics *m, const struct tunnel_names *names, const json_t *rows,
                   const char *member, const char *metric, const char *help)
{
    const json_t *row;
    size_t i;
    metrics_family(m, metric, METRICS_GAUGE, help);
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
        const json_t *value = json_object_get(row, member);
        const char *peer = json_string_value(json_object_get(row, names->peer));
        char tunnel[24];
        if (!value || !peer)
            continue;
        snprintf(tunnel, sizeof tunnel, "%lld",
                 (long long)json_integer_value(json_object_get(row, names->tunnel)));
        metrics_value(m, json_number_value(value), names->peer, peer, "tunnel", tunnel, NULL);
    }
}

void tunnel_figures_metrics(struct metrics *m, const struct tunnel_names *names, const json_t *rows)
{
#define X(member, column, kind, metric, help) family(m, names, rows, #member, metric, help);
    TUNNEL_FIGURES(X)
#undef X
}
