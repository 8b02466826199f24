/* `stile-edge config show`: the config that the edge runs with, and where it came from. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/ask.h"
#include "common/print_json.h"
#include "common/verb.h"
#include "edge/edge.h"

enum { PATIENCE_MS = 10000 };

json_t *edge_config_waiting(const struct edge *e)
{
    json_t *list = json_array();
    for (const char *p = e->config_waiting; *p; p += strspn(p, ", ")) {
        size_t n = strcspn(p, ",");
        json_array_append_new(list, json_stringn(p, n));
        p += n;
    }
    return list;
}

void edge_config_show_request(void *edge, struct request *r, const json_t *msg)
{
    const struct edge *e = edge;
    char path[PATH_MAX];
    (void)msg;
    request_answer(r, json_pack("{ss ss ss sI ss sb ss so ss so*}", "type", "config_show", "file",
                                box_file(e->box, BOX_CONFIG, path), "text", e->box->config.text, "revision",
                                (json_int_t)e->box->config.revision, "from", e->config_from, "writable", 0,
                                "fixed", "core brings the shared config; change it there",
                                "waits_for_restart", edge_config_waiting(e), "unsaved", e->config_unsaved,
                                "config", schema_write(config_rows, &e->box->config)));
}

static const char help[] = "config show [--dir DIR] [--run-dir DIR] [--json]\n"
                           "\n"
                           "Prints the config that the edge runs with, with every default; there is no "
                           "secret in it. With --json also\n"
                           "its revision, which core brought it, and the keys that wait for a restart.\n"
                           "\n"
                           "  --json         for programs\n"
                           "  --dir DIR      the box's folder (default /etc/stile)\n"
                           "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

int edge_config_command(int argc, char **argv)
{
    struct ask a = {.verb = "config",
                    .type = "config_show",
                    .word = "show",
                    .help = help,
                    .socket = BOX_EDGE_SOCKET,
                    .patience_ms = PATIENCE_MS,
                    .has_json = true};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    status = print_json(a.as_json ? answer : json_object_get(answer, "config"));
    json_decref(answer);
    return status;
}
