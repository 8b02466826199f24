#include "common/status.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/box.h"
#include "common/local_server.h"
#include "common/table.h"
#include "common/verb.h"

enum { STATUS_PATIENCE_MS = 5000 };

static const char help[] = "usage: %s status [--dir DIR] [--run-dir DIR] [--json]\n"
                           "\n"
                           "Shows how this box is.\n"
                           "\n"
                           "  --dir DIR      the box's folder (default /etc/stile)\n"
                           "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
                           "  --json         for programs\n";

static int status_show(const char *dir, const char *run_dir, const char *socket_name, bool as_json,
                       void (*text)(const json_t *status))
{
    struct box box;
    char path[PATH_MAX], why[SCHEMA_WHY];
    json_t *answer;
    enum err e = box_open(&box, dir, run_dir, why);
    if (e == ERR_OK)
        e = local_request(box_run_file(&box, socket_name, path), json_pack("{ss}", "type", "status"),
                          STATUS_PATIENCE_MS, &answer, why);
    if (e != ERR_OK) {
        fprintf(stderr, "%s status: %s\n", program_invocation_short_name, why);
        return EXIT_FAILED;
    }
    json_object_del(answer, "type");
    if (as_json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        text(answer);
    }
    json_decref(answer);
    return EXIT_OK;
}

int status_command(int argc, char **argv, const char *socket_name, void (*text)(const json_t *status))
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *dir = BOX_DIR, *run_dir = NULL;
    bool as_json = false;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            dir = optarg;
        else if (option == 'r')
            run_dir = optarg;
        else if (option == 'j')
            as_json = true;
        else if (option == 'h')
            return printf(help, program_invocation_short_name) < 0 ? EXIT_FAILED : EXIT_OK;
        else
            return verb_usage("status");
    }
    if (optind < argc)
        return verb_usage("status");
    return status_show(dir, run_dir, socket_name, as_json, text);
}

void status_add_workers(json_t *list, struct worker *const *workers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (workers[i])
            json_array_append_new(list, json_pack("{ss si ss si}", "worker", worker_name(workers[i]), "pid",
                                                  (int)worker_pid(workers[i]), "state",
                                                  worker_running(workers[i]) ? "running" : "being restarted",
                                                  "restarts", (int)worker_restarts(workers[i])));
}

void status_print_head(const json_t *status)
{
    char age[48];
    const char *from = json_string_value(json_object_get(status, "policy_from"));
    printf("%s %s, Stile %s, up %s, policy revision %lld%s%s\n",
           json_string_value(json_object_get(status, "box")),
           json_string_value(json_object_get(status, "name")),
           json_string_value(json_object_get(status, "version")),
           table_age(json_number_value(json_object_get(status, "uptime_s")), age, sizeof age),
           (long long)json_integer_value(json_object_get(status, "revision")), from && *from ? " from " : "",
           from ? from : "");
}

void status_print_allowlist(const json_t *status)
{
    static const struct table_column columns[] = {{"Description", "description", TABLE_TEXT},
                                                  {"Scheme", "scheme", TABLE_TEXT},
                                                  {"Host", "host", TABLE_TEXT},
                                                  {"Port", "port", TABLE_TEXT},
                                                  {"Match", "match", TABLE_STATE},
                                                  {"Path", "path", TABLE_TEXT},
                                                  {"Methods", "methods", TABLE_TEXT},
                                                  {0}};
    table_print(stdout, "HTTP allow list", columns, json_object_get(status, "allowlist"),
                "empty: no request passes");
}

void status_print_workers(const json_t *status)
{
    static const struct table_column columns[] = {{"Worker", "worker", TABLE_TEXT},
                                                  {"Process", "pid", TABLE_TEXT},
                                                  {"State", "state", TABLE_STATE},
                                                  {"Restarts", "restarts", TABLE_TEXT},
                                                  {0}};
    table_print(stdout, "Workers", columns, json_object_get(status, "workers"), "none");
}
