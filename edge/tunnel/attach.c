#include "edge/tunnel/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/box.h"
#include "common/file.h"
#include "common/ipc.h"
#include "common/sandbox.h"
#include "common/sock.h"
#include "common/verb.h"

enum { ATTACH_CHANNELS_MAX = 64 };

static const char help[] =
    "usage: stile-edge attach --core NAME --key LINE --run-dir DIR\n"
    "\n"
    "The forced command of a core's SSH key; sshd runs it, nobody else. What core asked for comes in\n"
    "SSH_ORIGINAL_COMMAND: 'control' or 'data N'.\n";

/* "control" or "data N" to a message; NULL for anything else: there is no shell here. */
static json_t *attach_message(const char *core, const char *key, const char *command)
{
    const char *connection = getenv("SSH_CONNECTION");
    unsigned index;
    int end = 0;
    if (strcmp(command, "control") == 0)
        return json_pack("{ss ss ss ss ss}", "type", "attach", "core", core, "key", key, "channel", "control",
                         "connection", connection ? connection : "");
    if (sscanf(command, "data %2u%n", &index, &end) == 1 && !command[end] && index < ATTACH_CHANNELS_MAX)
        return json_pack("{ss ss ss ss si ss}", "type", "attach", "core", core, "key", key, "channel", "data",
                         "index", (int)index, "connection", connection ? connection : "");
    return NULL;
}

/* Waits until the daemon lets go; it may say why in a message first. */
static int attach_wait(int fd)
{
    json_t *msg;
    enum err e = ipc_receive_fd(fd, -1, &msg);
    if (e != ERR_OK)
        return EXIT_OK; /* closed without a word: the channel was used and is over */
    fprintf(stderr, "stile-edge: %s\n", json_string_value(json_object_get(msg, "reason")));
    json_decref(msg);
    return EXIT_FAILED;
}

int attach_command(int argc, char **argv)
{
    static const struct option options[] = {{"core", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"run-dir", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *core = NULL, *key = NULL, *run_dir = NULL, *command = getenv("SSH_ORIGINAL_COMMAND");
    char path[4096];
    int option, fds[2] = {0, 1}, null;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'c')
            core = optarg;
        else if (option == 'k')
            key = optarg;
        else if (option == 'r')
            run_dir = optarg;
        else if (option == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        else
            return verb_usage("attach");
    }
    if (!core || !key || !run_dir || optind < argc)
        return verb_usage("attach");
    sandbox_harden();
    json_t *msg = attach_message(core, key, command ? command : "");
    if (!msg) {
        fprintf(stderr, "stile-edge: this key attaches tunnels; it gets no shell\n");
        return EXIT_FAILED;
    }
    int fd = sock_connect_unix(file_path(path, sizeof path, run_dir, BOX_ATTACH_SOCKET));
    if (fd < 0) {
        fprintf(stderr, "stile-edge: the daemon does not answer on %s: %s\n", path, strerror(errno));
        json_decref(msg);
        return EXIT_FAILED;
    }
    if (ipc_send_fd(fd, msg, fds, 2) != ERR_OK) {
        fprintf(stderr, "stile-edge: the daemon hung up\n");
        return EXIT_FAILED;
    }
    /* Ours are not needed any more: the end of the daemon's copies shall be the end. */
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
        return EXIT_FAILED;
    return attach_wait(fd);
}
