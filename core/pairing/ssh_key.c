#include "core/pairing/ssh_key.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/schema.h"

extern char **environ;

static enum err ssh_keygen(const char *path, char *why)
{
    pid_t pid;
    int status;
    char *argv[] = {(char[]){"ssh-keygen"}, (char[]){"-q"}, (char[]){"-t"}, (char[]){"ed25519"}, (char[]){"-N"},
                    (char[]){""}, (char[]){"-C"}, (char[]){"stile"}, (char[]){"-f"}, (char *)(uintptr_t)path, NULL};
    int error = posix_spawnp(&pid, "ssh-keygen", NULL, NULL, argv, environ);
    if (error) {
        snprintf(why, SCHEMA_WHY, "ssh-keygen cannot be run: %s; install openssh-client", strerror(error));
        return ERR_SYSTEM;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return ERR_SYSTEM;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        snprintf(why, SCHEMA_WHY, "ssh-keygen failed for %s", path);
        return ERR_SYSTEM;
    }
    return ERR_OK;
}

enum err ssh_key_make(const char *dir, struct ssh_key *out, char *why)
{
    char path[PATH_MAX], public_path[PATH_MAX + 4];
    struct ssh_key k = {0};
    snprintf(path, sizeof path, "%.*s/.new-key-%d", PATH_MAX - 40, dir, (int)getpid());
    snprintf(public_path, sizeof public_path, "%s.pub", path);
    enum err e = ssh_keygen(path, why);
    if (e == ERR_OK)
        e = file_read_secret(path, 16384, &k.private_pem, NULL, why, SCHEMA_WHY);
    if (e == ERR_OK)
        e = file_read(public_path, 16384, &k.public_line, NULL, why, SCHEMA_WHY);
    unlink(path);
    unlink(public_path);
    if (e != ERR_OK) {
        ssh_key_free(&k);
        return e;
    }
    char *space = strchr(k.public_line, ' ');
    if (space)
        space[1 + strcspn(space + 1, " \r\n")] = '\0';
    *out = k;
    return ERR_OK;
}

void ssh_key_free(struct ssh_key *k)
{
    file_wipe(k->private_pem);
    free(k->public_line);
    *k = (struct ssh_key){0};
}
