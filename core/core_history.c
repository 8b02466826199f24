/* What the graphs of core begin with, and `stile-core history`. */
#include "common/box.h"
#include "common/history_keeper.h"
#include "core/core.h"

static const struct history_figure core_figures[] = {
    {"requests", "tunnel.egress.requests", HISTORY_RATE},
    {"web_in", "tunnel.tunnel_bytes_in", HISTORY_RATE},
    {"web_out", "tunnel.tunnel_bytes_out", HISTORY_RATE},
    {"websockets", "tunnel.egress.open_websockets", HISTORY_LEVEL},
    {0}};

static const struct table_column core_columns[] = {{"Ago", "age", TABLE_AGE},
                                                   {"Requests/s", "requests", TABLE_TEXT},
                                                   {"Web in", "web_in", TABLE_RATE},
                                                   {"Web out", "web_out", TABLE_RATE},
                                                   {"WebSockets", "websockets", TABLE_TEXT},
                                                   {0}};

_Static_assert((int)CORE_TUNNELS_MAX <= (int)HISTORY_WORKERS_MAX, "all of them have room");

static size_t core_history_workers(void *core, struct worker **all)
{
    return core_tunnels_workers(core, all);
}

void core_history_start(struct core *c)
{
    c->history = history_keeper_start(c->loop, core_figures, core_history_workers, c);
}

void core_history_request(void *core, struct request *r, const json_t *msg)
{
    (void)msg;
    history_keeper_request(((struct core *)core)->history, r);
}

int core_history_command(int argc, char **argv)
{
    return history_command(argc, argv, BOX_CORE_SOCKET, core_columns);
}
