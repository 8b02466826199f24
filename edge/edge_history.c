/* What the graphs of the edge begin with, and `stile-edge history`. */
#include <string.h>

#include "common/box.h"
#include "common/history_keeper.h"
#include "edge/edge.h"

static const struct history_figure edge_figures[] = {
    {"requests", "web.requests", HISTORY_RATE},
    {"web_in", "web.bytes_in", HISTORY_RATE},
    {"web_out", "web.bytes_out", HISTORY_RATE},
    {"websockets", "web.open_websockets", HISTORY_LEVEL},
    {"connections", "web.connections", HISTORY_LEVEL},
    {"relays", "turn.allocations", HISTORY_LEVEL},
    {"turn_in", "turn.counters.from_clients.*.bytes", HISTORY_RATE},
    {"turn_out", "turn.counters.to_clients.*.bytes", HISTORY_RATE},
    {0}};

static const struct table_column edge_columns[] = {{"Ago", "age", TABLE_AGE},
                                                   {"Requests/s", "requests", TABLE_TEXT},
                                                   {"Web in", "web_in", TABLE_RATE},
                                                   {"Web out", "web_out", TABLE_RATE},
                                                   {"WebSockets", "websockets", TABLE_TEXT},
                                                   {"Connections", "connections", TABLE_TEXT},
                                                   {"Relays", "relays", TABLE_TEXT},
                                                   {"TURN in", "turn_in", TABLE_RATE},
                                                   {"TURN out", "turn_out", TABLE_RATE},
                                                   {0}};

_Static_assert(2 * (int)LISTENERS_WORKERS_MAX <= (int)HISTORY_WORKERS_MAX, "all of them have room");

static size_t edge_history_workers(void *edge, struct worker **all)
{
    const struct edge *e = edge;
    memcpy(all, e->web, e->n_web * sizeof all[0]);
    memcpy(all + e->n_web, e->turn, e->n_turn * sizeof all[0]);
    return e->n_web + e->n_turn;
}

void edge_history_start(struct edge *e)
{
    e->history = history_keeper_start(e->loop, edge_figures, edge_history_workers, e);
}

void edge_history_request(void *edge, struct request *r, const json_t *msg)
{
    (void)msg;
    history_keeper_request(((struct edge *)edge)->history, r);
}

int edge_history_command(int argc, char **argv)
{
    return history_command(argc, argv, BOX_EDGE_SOCKET, edge_columns);
}
