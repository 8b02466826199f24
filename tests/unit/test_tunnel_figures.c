/* One row per tunnel as text and as metrics; a tunnel that is down has no figures. */
#include "common/tunnel_figures.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static const struct tunnel_names names = {"Edge", "edge", "index"};

static json_t *rows(void)
{
    return json_pack("[{ss si sf sf sf si si si si}, {ss si}]", "edge", "edge1", "index", 1, "rtt_ms", 0.5,
                     "rate_in", 1500.0, "rate_out", 20.0, "queue", 0, "streams", 3, "requests", 40, "retries",
                     2, "edge", "edge2", "index", 0);
}

START_TEST(text)
{
    char *out = NULL;
    size_t n = 0;
    json_t *list = rows(), *none = json_array();
    FILE *f = open_memstream(&out, &n);
    tunnel_figures_print(f, &names, none);
    fflush(f);
    ck_assert_uint_eq(n, 0);
    tunnel_figures_print(f, &names, list);
    fclose(f);
    ck_assert_str_eq(out, "\nTraffic of the tunnels\n"
                          "  Edge   Tunnel  RTT      In        Out     Queue  Streams  Requests  Retries\n"
                          "  edge1  1       0.50 ms  1.5 kB/s  20 B/s  0 B    3        40        2\n"
                          "  edge2  0       -        -         -       -      -        -         -\n");
    free(out);
    json_decref(list);
    json_decref(none);
}
END_TEST

START_TEST(prometheus)
{
    json_t *list = rows();
    struct metrics *m = metrics_new();
    tunnel_figures_metrics(m, &names, list);
    char *out = metrics_end(m);
    ck_assert_ptr_nonnull(
        strstr(out, "stile_tunnel_in_bytes_per_second{edge=\"edge1\",tunnel=\"1\"} 1500\n"));
    ck_assert_ptr_nonnull(strstr(out, "stile_tunnel_out_bytes_per_second{edge=\"edge1\",tunnel=\"1\"} 20\n"));
    ck_assert_ptr_nonnull(strstr(out, "stile_tunnel_queue_bytes{edge=\"edge1\",tunnel=\"1\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(out, "stile_tunnel_streams{edge=\"edge1\",tunnel=\"1\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(out, "stile_tunnel_requests{edge=\"edge1\",tunnel=\"1\"} 40\n"));
    ck_assert_ptr_nonnull(strstr(out, "stile_tunnel_retries{edge=\"edge1\",tunnel=\"1\"} 2\n"));
    ck_assert_ptr_null(strstr(out, "edge2"));
    free(out);
    json_decref(list);
}
END_TEST

UNIT_MAIN("tunnel_figures", text, prometheus)
