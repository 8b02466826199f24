/* The first admin user of a box. */
#include <errno.h>
#include <fcntl.h>
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
    struct admin_first told;
};

_Static_assert((int)ADMIN_FIRST_PASSWORD >= (int)ADMIN_MADE_MAX, "a password of our making fits");

static enum err first_certificate(struct first *f, char *why)
{
    char *own = NULL;
    enum err e = f->pem ? ERR_OK : admin_certificate_own(f->box, f->name, &own, why);
    admin_certificate_fingerprint(f->pem ? f->pem : own, f->told.fingerprint);
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
        e = admin_password_hash(f->told.password, record);
    if (e == ERR_OK)
        e = admin_user_add(book, FIRST_USER, ADMIN_WRITER, record, time(NULL), why);
    admin_book_close(book);
    return e;
}

static enum err first_make(struct first *f, char *why)
{
    enum err e = sandbox_become(f->user, why, SCHEMA_WHY); /* files are its, and nothing is done as root */
    if (e == ERR_OK)
        e = first_certificate(f, why);
    if (e == ERR_OK)
        e = first_add(f, why);
    if (e == ERR_EXISTS)
        OPENSSL_cleanse(f->told.password, sizeof f->told.password);
    return e == ERR_EXISTS ? ERR_OK : e;
}

/* In a process of its own, as becoming somebody else is for good; what there is to tell comes by `to`. */
static void first_run(struct first *f, int to)
{
    char why[SCHEMA_WHY];
    admin_password_make(f->told.password);
    enum err e = first_make(f, why);
    if (e != ERR_OK)
        fprintf(stderr, "%s: the first admin user was not made: %s\n", program_invocation_short_name, why);
    bool told = e == ERR_OK && write(to, &f->told, sizeof f->told) == (ssize_t)sizeof f->told;
    OPENSSL_cleanse(&f->told, sizeof f->told);
    _exit(told ? 0 : 1);
}

enum err admin_first_user(const struct box *box, const char *user, enum admin_box kind, long port,
                          const char *pem, struct admin_first *told, char *why)
{
    struct first f = {.box = box,
                      .user = user,
                      .pem = pem,
                      .name = kind == ADMIN_CORE ? "stile-core" : "stile-edge",
                      .told = {.port = port}};
    int status = 0, ends[2];
    enum err e = box_make_state_dir(box, user, why);
    if (e != ERR_OK)
        return e;
    snprintf(why, SCHEMA_WHY, "no admin user was made; 'admin user add NAME' makes one");
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ERR_SYSTEM;
    pid_t pid = fork();
    if (pid == 0)
        first_run(&f, ends[1]);
    close(ends[1]);
    bool heard = read(ends[0], told, sizeof *told) == (ssize_t)sizeof *told; /* as one: less than PIPE_BUF */
    close(ends[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && heard && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ERR_OK : ERR_SYSTEM;
}

/* Telling --------------------------------------------------------------------------------------------------
 */

void admin_first_print(const struct admin_first *told)
{
    if (*told->password)
        printf("Admin page: https://THIS-BOX:%ld/, user " FIRST_USER ", password %s\n", told->port,
               told->password);
    else
        printf("Admin page: https://THIS-BOX:%ld/, with the users that it has\n", told->port);
    printf("Its certificate has the SHA-256 fingerprint %s\n", told->fingerprint);
}

json_t *admin_first_json(const struct admin_first *told)
{
    bool made = *told->password;
    return json_pack("{sI ss* ss* ss}", "port", (json_int_t)told->port, "user", made ? FIRST_USER : NULL,
                     "password", made ? told->password : NULL, "fingerprint", told->fingerprint);
}
