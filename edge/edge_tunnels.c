/*
 * Alarms of the tunnels, as the edge sees them: cores of the config without any, and no core at all. At the
 * start cores have some time to come.
 */
#include <stdio.h>
#include <string.h>

#include "common/alarms.h"
#include "common/text.h"
#include "edge/edge.h"

static const double come_within = 10; /* seconds */

static bool core_is_up(const json_t *tunnels, const char *core)
{
    size_t i;
    json_t *row;
    json_array_foreach ((json_t *)(uintptr_t)tunnels, i, row)
        if (strcmp(json_string_value(json_object_get(row, "core")), core) == 0 &&
            strcmp(json_string_value(json_object_get(row, "state")), "active") == 0)
            return true;
    return false;
}

static const char *core_reason(const struct edge *e, const char *core)
{
    return strcmp(e->last_tunnel_core, core) == 0 && *e->last_tunnel_reason ? e->last_tunnel_reason
                                                                            : "it has not connected yet";
}

static void tunnels_judge(const struct edge *e)
{
    json_t *tunnels = attachments_status(e->attachments), *missing = json_object();
    const char *reason = "";
    size_t up = 0;
    for (size_t i = 0; i < e->box->config.cores.n; i++) {
        const char *core = config_core_at(&e->box->config, i)->name;
        if (core_is_up(tunnels, core)) {
            up++;
            continue;
        }
        reason = core_reason(e, core);
        json_object_set_new(missing, core, json_string(reason));
        alarm_clear(ALARM_CLOCK_SKEW, core); /* nothing is known of it any more */
    }
    alarm_match(ALARM_CORE_MISSING, missing);
    if (up == 0)
        alarm_raise(ALARM_NO_TUNNEL, "", reason);
    else
        alarm_clear(ALARM_NO_TUNNEL, "");
    json_decref(missing);
    json_decref(tunnels);
}

static void tunnels_on_patience(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)loop, (void)revents;
    tunnels_judge(t->data);
}

void edge_tunnels_start(struct edge *e)
{
    ev_timer_init(&e->tunnels_timer, tunnels_on_patience, come_within, 0);
    e->tunnels_timer.data = e;
    ev_timer_start(e->loop, &e->tunnels_timer);
}

void edge_tunnels_stop(struct edge *e)
{
    if (e->tunnels_timer.data)
        ev_timer_stop(e->loop, &e->tunnels_timer);
}

/* While cores may still come for the first time, none is missing. */
void edge_tunnels_changed(struct edge *e, const char *core, const char *reason)
{
    text_copy(e->last_tunnel_reason, sizeof e->last_tunnel_reason, reason);
    text_copy(e->last_tunnel_core, sizeof e->last_tunnel_core, core);
    if (e->stopping)
        return;
    if (!reason) {
        alarm_clear(ALARM_CORE_MISSING, core);
        alarm_clear(ALARM_NO_TUNNEL, "");
    }
    if (!ev_is_active(&e->tunnels_timer))
        tunnels_judge(e);
}
