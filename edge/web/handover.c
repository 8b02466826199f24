#include "edge/web/handover.h"

#include "edge/web/web.h"

bool handover_send(struct web *w, int fd, const struct netaddr *client, const struct netaddr *server,
                   bool tls)
{
    char client_text[NETADDR_TEXT], server_text[NETADDR_TEXT];
    if (!w->turn || w->handing >= HANDOVERS_MOST) {
        w->counters.turn_refused++;
        return false;
    }
    json_t *msg =
        json_pack("{s:s, s:s, s:s, s:b}", "type", "hand", "client", netaddr_print(client, client_text),
                  "server", netaddr_print(server, server_text), "tls", tls);
    if (ipc_send(w->main, msg, &fd, 1) != ERR_OK) {
        w->counters.turn_refused++;
        return false;
    }
    w->handing++;
    if (tls)
        w->counters.turn_tls++;
    else
        w->counters.turn_tcp++;
    return true;
}

void handover_done(struct web *w)
{
    if (w->handing > 0)
        w->handing--;
}
