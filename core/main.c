#include "common/backup_command.h"
#include "common/box.h"
#include "common/event_command.h"
#include "common/verb.h"
#include "core/config_command.h"
#include "core/core.h"
#include "core/firewall.h"
#include "core/pairing/init.h"
#include "core/schema_command.h"
#include "core/workers.h"

static int core_alarm_command(int argc, char **argv)
{
    return alarm_command(argc, argv, BOX_CORE_SOCKET);
}

static int core_event_command(int argc, char **argv)
{
    return event_command(argc, argv, BOX_CORE_SOCKET);
}

static int core_backup_command(int argc, char **argv)
{
    return backup_command(argc, argv, "stile-core");
}

static int core_restore_command(int argc, char **argv)
{
    return restore_command(argc, argv, "stile-core");
}

static const struct verb verbs[] = {
    {"init", init_command, "make the shared config, and a bundle for each edge"},
    {"run", core_run_command, "run core in the foreground"},
    {"status", core_status_command, "tunnels, targets, allow list, workers"},
    {"metrics", core_metrics_command, "figures for Prometheus"},
    {"history", core_history_command, "what went through it in the last ten minutes"},
    {"alarm", core_alarm_command, "what is wrong: list, ack"},
    {"event", core_event_command, "what happened: list"},
    {"reload", core_reload_command, "take over changes of the config"},
    {"config", config_command, "check, show, diff, history, rollback"},
    {"edge", core_edge_command, "list, add, renew, remove: the edges of this core"},
    {"key", core_key_command, "rotate, finish, show: SSH keys and secrets of both boxes"},
    {"dns", core_dns_command, "flush: ask DNS for the web bridges again"},
    {"allow", core_allow_command, "what guests may ask for: list, test, import, export"},
    {"firewall", firewall_command, "print: nftables rules for the firewalls and the edges"},
    {"backup", core_backup_command, "all that this box has, into one encrypted file"},
    {"restore", core_restore_command, "a box from such a file"},
    {"admin", core_admin_command, "who may use the admin page and the API: user, token, audit"},
    {"schema", schema_command, NULL},
    {"worker", core_workers_command, NULL},
    {0},
};

int main(int argc, char **argv)
{
    return verb_run(verbs,
                    "The box in the LAN: dials out to edges, serves their requests from the web bridge.",
                    argc, argv);
}
