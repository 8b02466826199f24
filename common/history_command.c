/* `stile-core history`, `stile-edge history`: asks the running daemon. */
#include <stdio.h>

#include "common/ask.h"
#include "common/history_keeper.h"
#include "common/print_json.h"
#include "common/verb.h"

enum { PATIENCE_MS = 5000 };

static const char help[] =
    "history [--dir DIR] [--run-dir DIR] [--json]\n"
    "\n"
    "What went through this box in the last ten minutes, a line for each five seconds, the newest last.\n"
    "It is kept in memory: a restart forgets it.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --json         for programs\n";

int history_command(int argc, char **argv, const char *socket, const struct table_column *columns)
{
    struct ask a = {
        .verb = "history", .help = help, .socket = socket, .patience_ms = PATIENCE_MS, .has_json = true};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    status = EXIT_OK;
    if (a.as_json)
        status = print_json(answer);
    else
        table_print(stdout, "The last ten minutes", columns, json_object_get(answer, "items"),
                    "nothing yet: a line comes each five seconds");
    json_decref(answer);
    return status;
}
