#include "common/backup_command.h"
#include "common/box.h"
#include "common/event_command.h"
#include "common/verb.h"
#include "edge/edge.h"
#include "edge/tunnel/attach.h"
#include "edge/turn/turn_command.h"
#include "edge/workers.h"

static int edge_alarm_command(int argc, char **argv)
{
    return alarm_command(argc, argv, BOX_EDGE_SOCKET);
}

static int edge_event_command(int argc, char **argv)
{
    return event_command(argc, argv, BOX_EDGE_SOCKET);
}

static int edge_backup_command(int argc, char **argv)
{
    return backup_command(argc, argv, "stile-edge");
}

static int edge_restore_command(int argc, char **argv)
{
    return restore_command(argc, argv, "stile-edge");
}

static const struct verb verbs[] = {
    {"run", edge_run_command, "run the edge in the foreground"},
    {"join", edge_join_command, "install the bundle that core made for this edge"},
    {"status", edge_status_command, "tunnels, allow list, TURN relays, workers"},
    {"metrics", edge_metrics_command, "figures for Prometheus"},
    {"history", edge_history_command, "what went through it in the last ten minutes"},
    {"alarm", edge_alarm_command, "what is wrong: list, ack"},
    {"event", edge_event_command, "what happened: list"},
    {"cert", edge_cert_command, "the certificate that guests see: show, csr, install"},
    {"config", edge_config_command, "show: the config that the edge runs with"},
    {"reload", edge_reload_command, "read the config and the secrets again, while calls go on"},
    {"user", edge_user_command, "TURN users of this edge: add, list, disable, remove, token"},
    {"relay", edge_relay_command, "TURN relays in use: list, show"},
    {"ban", edge_ban_command, "addresses that are shut out: list, add, remove"},
    {"turn", turn_command, "run a stand-alone TURN server, nothing else"},
    {"attach", attach_command, NULL},
    {"backup", edge_backup_command, "all that this box has, into one encrypted file"},
    {"restore", edge_restore_command, "a box from such a file"},
    {"admin", edge_admin_command, "who may use the admin page and the API: user, token, audit"},
    {"worker", edge_workers_command, NULL},
    {0},
};

int main(int argc, char **argv)
{
    return verb_run(verbs, "The box in the DMZ: HTTPS and WSS for guests, SSH for cores, TURN for media.",
                    argc, argv);
}
