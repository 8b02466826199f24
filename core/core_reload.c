/* `stile-core reload`, SIGHUP: the files are read again (core_change.h). */
#include <stdio.h>

#include "common/ask.h"
#include "common/print_json.h"
#include "common/verb.h"
#include "core/config_command.h"
#include "core/core_change.h"

enum { RELOAD_PATIENCE_MS = 60000 };

void core_reload_request(void *core, struct request *request, const json_t *msg)
{
    struct core_change change = {.type = "reload"};
    (void)msg;
    request_by(request, change.by, sizeof change.by);
    core_change_begin(core, request, &change);
}

/* The command -------------------------------------------------------------------------------------------- */

static const char reload_help[] =
    "reload [--dir DIR] [--run-dir DIR] [--json]\n"
    "\n"
    "The running core reads its files again and takes over what has changed, all of it or nothing, without\n"
    "touching requests that are going on. Every edge that is there prepares the change first: it is taken\n"
    "over by all of them or by none. Tunnels to edges that were added are started, those to edges that were\n"
    "taken out end with what runs in them.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --json         for programs\n";

int core_reload_command(int argc, char **argv)
{
    struct ask a = {.verb = "reload",
                    .help = reload_help,
                    .socket = BOX_CORE_SOCKET,
                    .patience_ms = RELOAD_PATIENCE_MS,
                    .has_json = true};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    status = EXIT_OK;
    if (a.as_json)
        status = print_json(answer);
    else
        config_print_change("reloaded", answer);
    json_decref(answer);
    return status;
}
