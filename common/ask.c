#include "common/ask.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/box.h"
#include "common/local_server.h"
#include "common/verb.h"

/* False when there is nothing to ask: *status is the exit status. */
static bool ask_parse(int argc, char **argv, struct ask *a, const char **dir, const char **run_dir,
                      int *status)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            *dir = optarg;
        } else if (option == 'r') {
            *run_dir = optarg;
        } else if (option == 'j' && a->has_json) {
            a->as_json = true;
        } else if (option == 'h') {
            *status =
                printf("usage: %s %s", program_invocation_short_name, a->help) < 0 ? EXIT_FAILED : EXIT_OK;
            return false;
        } else {
            *status = verb_usage(a->verb);
            return false;
        }
    }
    bool right = a->word ? optind + 1 == argc && strcmp(argv[optind], a->word) == 0 : optind == argc;
    if (!right)
        *status = verb_usage(a->verb);
    return right;
}

enum err ask_socket(const char *path, json_t *msg, int patience_ms, json_t **answer, char *why)
{
    *answer = NULL;
    enum err e = local_request(path, msg, patience_ms, answer, why);
    const char *type = json_string_value(json_object_get(*answer, "type"));
    if (e != ERR_OK || !type || strcmp(type, "error") != 0)
        return e;
    const char *reason = json_string_value(json_object_get(*answer, "reason"));
    snprintf(why, SCHEMA_WHY, "%s", reason ? reason : "refused");
    json_decref(*answer);
    *answer = NULL;
    return ERR_REFUSED;
}

json_t *ask_daemon(int argc, char **argv, struct ask *a, int *status)
{
    struct box box;
    char path[PATH_MAX], why[SCHEMA_WHY];
    const char *dir = BOX_DIR, *run_dir = NULL;
    json_t *answer = NULL;
    if (!ask_parse(argc, argv, a, &dir, &run_dir, status))
        return NULL;
    enum err e = box_open(&box, dir, run_dir, why);
    if (e == ERR_OK)
        e = ask_socket(box_run_file(&box, a->socket, path),
                       json_pack("{ss}", "type", a->type ? a->type : a->verb), a->patience_ms, &answer, why);
    if (e == ERR_OK)
        return answer;
    fprintf(stderr, "%s %s%s%s: %s\n", program_invocation_short_name, a->verb, a->word ? " " : "",
            a->word ? a->word : "", why);
    *status = EXIT_FAILED;
    return NULL;
}
