/* The first admin user of a box. */
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/admin/admin_command.h"
#include "common/admin/admin_private.h"
#include "common/file.h"
#include "common/sandbox.h"

#define FIRST_USER "admin"

struct first {
    const struct box *box;
    const char *user, *pem, *name;
    char password[ADMIN_MADE_MAX];
};

static enum err first_certificate(const struct first *f, char fingerprint[100], char *why)
{
    char *own = NULL;
    enum err e = f->pem ? ERR_OK : admin_certificate_own(f->box, f->name, &own, why);
    admin_certificate_fingerprint(f->pem ? f->pem : own, fingerprint);
    file_wipe(own);
    return e;
}

/* ERR_EXISTS: there are users. */
static enum err first_add(const struct first *f, char *why)
{
    char path[PATH_MAX], record[ADMIN_RECORD_MAX];
    struct admin_book *book;
    enum err e = admin_book_open(box_state_file(f->box, STORE_FILE, path), &book, why);
    if (e != ERR_OK)
        return e;
    if (admin_user_count(book) > 0)
        e = ERR_EXISTS;
    if (e == ERR_OK)
        e = admin_password_hash(f->password, record);
    if (e == ERR_OK)
        e = admin_user_add(book, FIRST_USER, ADMIN_WRITER, record, time(NULL), why);
    admin_book_close(book);
    return e;
}

static enum err first_make(const struct first *f, long port, char *why)
{
    char fingerprint[100];
    enum err e = sandbox_become(f->user, why, SCHEMA_WHY); /* files are its, and nothing is done as root */
    if (e == ERR_OK)
        e = first_certificate(f, fingerprint, why);
    if (e == ERR_OK)
        e = first_add(f, why);
    if (e == ERR_OK)
        printf("Admin page: https://THIS-BOX:%ld/, user " FIRST_USER ", password %s\n", port, f->password);
    else if (e == ERR_EXISTS)
        printf("Admin page: https://THIS-BOX:%ld/, with the users that it has\n", port);
    else
        return e;
    printf("Its certificate has the SHA-256 fingerprint %s\n", fingerprint);
    return fflush(stdout) == 0 ? ERR_OK : ERR_SYSTEM;
}

/* In a process of its own, as becoming somebody else is for good. */
enum err admin_first_user(const struct box *box, const char *user, enum admin_box kind, long port,
                          const char *pem, char *why)
{
    struct first f = {
        .box = box, .user = user, .pem = pem, .name = kind == ADMIN_CORE ? "stile-core" : "stile-edge"};
    int status = 0;
    enum err e = box_make_state_dir(box, user, why);
    if (e != ERR_OK)
        return e;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        admin_password_make(f.password);
        e = first_make(&f, port, why);
        OPENSSL_cleanse(f.password, sizeof f.password);
        if (e != ERR_OK)
            fprintf(stderr, "%s: the first admin user was not made: %s\n", program_invocation_short_name,
                    why);
        _exit(e == ERR_OK ? 0 : 1);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return ERR_OK;
    snprintf(why, SCHEMA_WHY, "no admin user was made; 'admin user add NAME' makes one");
    return ERR_SYSTEM;
}
