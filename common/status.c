#include "common/status.h"
#include "common/print_json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alarms.h"
#include "common/ask.h"
#include "common/event_command.h"
#include "common/table.h"
#include "common/verb.h"

enum { STATUS_PATIENCE_MS = 5000 };

static const char help[] = "status [--dir DIR] [--run-dir DIR] [--json]\n"
                           "\n"
                           "Shows how this box is.\n"
                           "\n"
                           "  --dir DIR      the box's folder (default /etc/stile)\n"
                           "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
                           "  --json         for programs\n";

static const char metrics_help[] =
    "metrics [--dir DIR] [--run-dir DIR] [--json]\n"
    "\n"
    "Prints the metrics of this box in the text format of Prometheus.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --json         the same text as the one string of an object\n";

int status_command(int argc, char **argv, const char *socket_name, void (*text)(const json_t *status))
{
    struct ask a = {.verb = "status",
                    .help = help,
                    .socket = socket_name,
                    .patience_ms = STATUS_PATIENCE_MS,
                    .has_json = true};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    status = EXIT_OK;
    if (a.as_json)
        status = print_json(answer);
    else
        text(answer);
    json_decref(answer);
    return status;
}

int status_metrics_command(int argc, char **argv, const char *socket_name)
{
    struct ask a = {.verb = "metrics",
                    .help = metrics_help,
                    .socket = socket_name,
                    .patience_ms = STATUS_PATIENCE_MS,
                    .has_json = true};
    int status;
    json_t *answer = ask_daemon(argc, argv, &a, &status);
    if (!answer)
        return status;
    const char *text = json_string_value(json_object_get(answer, "text"));
    if (!text)
        fprintf(stderr, "%s metrics: the daemon ran out of memory\n", program_invocation_short_name);
    bool good =
        text && (a.as_json ? print_json(answer) == EXIT_OK : fputs(text, stdout) >= 0) && fflush(stdout) == 0;
    json_decref(answer);
    return good ? EXIT_OK : EXIT_FAILED;
}

/* Subjects may be a stranger's: they are counted. */
static void status_metrics_alarms(struct metrics *m, enum alarm_box box)
{
    size_t n;
    const struct alarm_row *rows = alarm_rows(&n);
    metrics_family(m, "stile_alarm_active", METRICS_GAUGE, "alarms of a number that are raised");
    for (size_t i = 0; i < n; i++) {
        char number[16];
        snprintf(number, sizeof number, "%u", rows[i].number);
        if (rows[i].box & box)
            metrics_value(m, (double)alarms_active(rows[i].number), "number", number, "name", rows[i].name,
                          "severity", alarm_severity_name(rows[i].severity), NULL);
    }
}

void status_metrics(struct metrics *m, const char *box, const char *name, double started, long revision,
                    struct worker *const *workers, size_t n)
{
    struct metrics_process *processes = calloc(n + 1, sizeof *processes);
    size_t n_processes = 0;
    metrics_family(m, "stile_build_info", METRICS_GAUGE, "always 1; which box this is, and its version");
    metrics_value(m, 1, "box", box, "name", name, "version", STILE_VERSION, NULL);
    metrics_family(m, "stile_start_time_seconds", METRICS_GAUGE, "when the main process started, UNIX time");
    metrics_value(m, started, NULL);
    metrics_family(m, "stile_policy_revision", METRICS_GAUGE, "revision of the policy in force");
    metrics_value(m, (double)revision, NULL);
    metrics_family(m, "stile_worker_up", METRICS_GAUGE, "1 while a worker process runs");
    for (size_t i = 0; i < n; i++)
        if (workers[i])
            metrics_value(m, worker_running(workers[i]), "worker", worker_name(workers[i]), NULL);
    metrics_family(m, "stile_worker_restarts_total", METRICS_COUNTER,
                   "times that a worker was started again");
    for (size_t i = 0; i < n; i++)
        if (workers[i])
            metrics_value(m, worker_restarts(workers[i]), "worker", worker_name(workers[i]), NULL);
    status_metrics_alarms(m, strcmp(box, "edge") == 0 ? ALARM_ON_EDGE : ALARM_ON_CORE);
    if (processes) {
        processes[n_processes++] = (struct metrics_process){"main", getpid()};
        for (size_t i = 0; i < n; i++)
            if (workers[i])
                processes[n_processes++] =
                    (struct metrics_process){worker_name(workers[i]), worker_pid(workers[i])};
        metrics_processes(m, processes, n_processes);
    }
    free(processes);
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
    alarms_print_brief(json_object_get(status, "alarms"));
}

void status_add_alarms(json_t *status)
{
    json_t *alarms = alarms_json(false);
    json_object_set(status, "alarms", json_object_get(alarms, "items"));
    json_decref(alarms);
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

/* The fingerprint is for who opens the page for the first time. */
static void status_print_admin(const json_t *admin)
{
    const char *at = json_string_value(json_object_get(admin, "listening")),
               *problem = json_string_value(json_object_get(admin, "problem")),
               *fingerprint = json_string_value(json_object_get(admin, "fingerprint"));
    if (at && *at)
        printf("\nAdmin page on %s, certificate SHA-256 %s\n", at, fingerprint ? fingerprint : "");
    if (problem && *problem)
        printf("\nAdmin service: %s\n", problem);
}

void status_print_workers(const json_t *status)
{
    static const struct table_column columns[] = {{"Worker", "worker", TABLE_TEXT},
                                                  {"Process", "pid", TABLE_TEXT},
                                                  {"State", "state", TABLE_STATE},
                                                  {"Restarts", "restarts", TABLE_TEXT},
                                                  {0}};
    table_print(stdout, "Workers", columns, json_object_get(status, "workers"), "none");
    status_print_admin(json_object_get(status, "admin"));
}
