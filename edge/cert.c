/* `stile-edge cert`: the certificate that guests see, looked at, ordered, replaced. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/cert.h"
#include "common/file.h"
#include "common/verb.h"
#include "edge/edge.h"

enum { PEM_MAX = 1024 * 1024, NAMES_MAX = 32 };

static const char help[] =
    "usage: stile-edge cert show [--json]\n"
    "       stile-edge cert csr [--name NAME]... [--keep-key]\n"
    "       stile-edge cert install CERT [--key FILE] [--force]\n"
    "\n"
    "The certificate that guests see.\n"
    "\n"
    "  show     whom it names, until when, and what is wrong with it; status 1 when something is\n"
    "  csr      prints a signing request for the join host. Its new key waits in next_key.pem; the one in "
    "use stays\n"
    "           until the certificate is installed\n"
    "  install  puts a certificate in place, its chain behind it (PEM; - for standard input), with the key "
    "of FILE, of\n"
    "           the last request, or in use, whichever fits. A running edge takes it at once; connections "
    "stay\n"
    "\n"
    "  --name NAME  a further host name or address for the request; may be given again\n"
    "  --keep-key   the request is for the key in use\n"
    "  --key FILE   the certificate's key (PEM, without passphrase)\n"
    "  --force      install it though it is expired, or does not name the join host\n"
    "  --dir DIR    the box's folder (default /etc/stile)\n"
    "  --user USER  as root: who owns the files (default stile)\n"
    "  --json       for programs\n";

struct cert_command {
    const char *dir, *user, *key_file;
    const char *names[NAMES_MAX];
    size_t n_names;
    bool json, keep_key, force;
    struct box box;
    char why[SCHEMA_WHY];
};

static enum err read_own(struct cert_command *c, const char *name, bool secret, char **text)
{
    char path[PATH_MAX];
    box_file(&c->box, name, path);
    return secret ? file_read_secret(path, PEM_MAX, text, NULL, c->why, sizeof c->why)
                  : file_read(path, PEM_MAX, text, NULL, c->why, sizeof c->why);
}

/* show ------------------------------------------------------------------------------------------------- */

static const char *date_print(int64_t when, char out[64])
{
    time_t t = (time_t)when;
    struct tm tm;
    if (!localtime_r(&t, &tm) || strftime(out, 64, "%Y-%m-%d %H:%M", &tm) == 0)
        snprintf(out, 64, "%lld", (long long)when);
    return out;
}

static void cert_print(const struct cert *c)
{
    char from[64], until[64];
    size_t i;
    json_t *name;
    printf("Subject      %s\nIssuer       %s%s\nNames        ", c->subject, c->issuer,
           c->self_signed ? " (self-signed)" : "");
    json_array_foreach (c->names, i, name)
        printf("%s%s", i ? ", " : "", json_string_value(name));
    printf("\nValid        %s to %s (%lld days left)\n", date_print(c->from, from),
           date_print(c->until, until), (long long)((c->until - time(NULL)) / 86400));
    printf("Key          %s\nChain        %zu behind it\nFingerprint  %s (SHA-256)\n", c->key, c->chain,
           c->fingerprint);
    if (*c->problem)
        printf("Problem      %s\n", c->problem);
    else
        printf("State        %s\n", c->soon ? "expires soon; renew it" : "in order");
}

static enum err cert_show(struct cert_command *c, bool *in_order)
{
    char *cert_pem = NULL, *key_pem = NULL, words[256];
    struct cert cert;
    enum err e = read_own(c, BOX_CERT, false, &cert_pem);
    if (e == ERR_OK)
        e = read_own(c, BOX_CERT_KEY, true, &key_pem);
    if (e == ERR_OK) {
        e = cert_read(cert_pem, key_pem, c->box.config.join_host, time(NULL), &cert, words, sizeof words);
        if (e != ERR_OK)
            snprintf(c->why, sizeof c->why, "%s/" BOX_CERT ", " BOX_CERT_KEY ": %s", c->box.dir, words);
    }
    free(cert_pem);
    file_wipe(key_pem);
    if (e != ERR_OK)
        return e;
    *in_order = !*cert.problem;
    if (c->json) {
        json_t *json = cert_json(&cert);
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(json);
    } else {
        cert_print(&cert);
    }
    cert_free(&cert);
    return ERR_OK;
}

/* csr -------------------------------------------------------------------------------------------------- */

static enum err cert_csr(struct cert_command *c)
{
    const char *names[NAMES_MAX + 1] = {c->box.config.join_host};
    char *key = NULL, *made = NULL, *request = NULL;
    memcpy(names + 1, c->names, c->n_names * sizeof names[0]);
    enum err e = c->keep_key ? read_own(c, BOX_CERT_KEY, true, &key) : ERR_OK;
    if (e == ERR_OK)
        e = cert_request(names, c->n_names + 1, key, &request, &made, c->why, sizeof c->why);
    if (e == ERR_OK && made)
        e = box_write(&c->box, BOX_NEXT_KEY, made, strlen(made), 0600, c->user, c->why);
    if (e == ERR_OK) {
        fputs(request, stdout);
        fprintf(
            stderr,
            "Have this signed, then: stile-edge cert install CERT (the certificate, its chain behind it)\n");
    }
    free(request);
    file_wipe(key);
    file_wipe(made);
    return e;
}

/* install ---------------------------------------------------------------------------------------------- */

/* The key that fits, and where it came from. */
static enum err key_find(struct cert_command *c, const char *cert_pem, char **key_pem, const char **from)
{
    const char *const own[] = {BOX_NEXT_KEY, BOX_CERT_KEY};
    struct cert cert;
    char words[256];
    for (size_t i = 0; !c->key_file && i < sizeof own / sizeof *own; i++) {
        if (read_own(c, own[i], true, key_pem) != ERR_OK)
            continue;
        if (cert_read(cert_pem, *key_pem, c->box.config.join_host, time(NULL), &cert, words, sizeof words) ==
            ERR_OK) {
            cert_free(&cert);
            *from = own[i];
            return ERR_OK;
        }
        file_wipe(*key_pem);
        *key_pem = NULL;
    }
    *from = c->key_file;
    if (c->key_file)
        return file_read(c->key_file, PEM_MAX, key_pem, NULL, c->why, sizeof c->why);
    snprintf(
        c->why, sizeof c->why,
        "the certificate fits neither the key of a request (%s) nor the one in use; give its own with --key",
        BOX_NEXT_KEY);
    return ERR_NOT_FOUND;
}

static enum err cert_judge(struct cert_command *c, const char *file, const char *cert_pem,
                           const char *key_pem)
{
    struct cert cert;
    char words[256];
    int64_t now = time(NULL);
    enum err e = cert_read(cert_pem, key_pem, c->box.config.join_host, now, &cert, words, sizeof words);
    if (e != ERR_OK) {
        snprintf(c->why, sizeof c->why, "%s: %s", file, words);
        return e;
    }
    bool unusable = now >= cert.until || now < cert.from || !cert.covers;
    if (unusable && !c->force) {
        snprintf(c->why, sizeof c->why, "%s: %s; --force installs it all the same", file, cert.problem);
        e = ERR_REFUSED;
    } else if (*cert.problem) {
        fprintf(stderr, "stile-edge cert install: warning: %s: %s\n", file, cert.problem);
    }
    cert_free(&cert);
    return e;
}

static enum err cert_install(struct cert_command *c, const char *file)
{
    char *cert_pem = NULL, *key_pem = NULL, path[PATH_MAX];
    const char *key_from = NULL;
    enum err e = file_read(strcmp(file, "-") == 0 ? "/dev/stdin" : file, PEM_MAX, &cert_pem, NULL, c->why,
                           sizeof c->why);
    if (e == ERR_OK)
        e = key_find(c, cert_pem, &key_pem, &key_from);
    if (e == ERR_OK)
        e = cert_judge(c, file, cert_pem, key_pem);
    /* A running edge looks again until the two fit. */
    if (e == ERR_OK && strcmp(key_from, BOX_CERT_KEY) != 0)
        e = box_write(&c->box, BOX_CERT_KEY, key_pem, strlen(key_pem), 0600, c->user, c->why);
    if (e == ERR_OK)
        e = box_write(&c->box, BOX_CERT, cert_pem, strlen(cert_pem), 0644, c->user, c->why);
    if (e == ERR_OK && strcmp(key_from, BOX_NEXT_KEY) == 0)
        unlink(box_file(&c->box, BOX_NEXT_KEY, path));
    if (e == ERR_OK)
        printf("%s/" BOX_CERT ": installed, with the key of %s\n", c->box.dir, key_from);
    free(cert_pem);
    file_wipe(key_pem);
    return e;
}

/* The command ------------------------------------------------------------------------------------------ */

static int cert_do(struct cert_command *c, char **words, int n)
{
    bool show = strcmp(words[0], "show") == 0 && n == 1, csr = strcmp(words[0], "csr") == 0 && n == 1,
         install = strcmp(words[0], "install") == 0 && n == 2, in_order = true;
    if (!show && !csr && !install)
        return verb_usage("cert");
    umask(077);
    snprintf(c->why, sizeof c->why, "out of memory");
    enum err e = box_open(&c->box, c->dir, NULL, c->why);
    if (e == ERR_OK)
        e = box_load(&c->box, c->why);
    if (e == ERR_OK && show)
        e = cert_show(c, &in_order);
    else if (e == ERR_OK && csr)
        e = cert_csr(c);
    else if (e == ERR_OK)
        e = cert_install(c, words[1]);
    if (e != ERR_OK)
        fprintf(stderr, "stile-edge cert %s: %s\n", words[0], c->why);
    return e == ERR_OK && in_order ? EXIT_OK : EXIT_FAILED;
}

static bool name_add(struct cert_command *c, const char *name)
{
    if (c->n_names == NAMES_MAX)
        return false;
    c->names[c->n_names++] = name;
    return true;
}

int edge_cert_command(int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"key", required_argument, NULL, 'k'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"keep-key", no_argument, NULL, 'o'},
                                            {"force", no_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct cert_command c = {.dir = BOX_DIR, .user = BOX_USER};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'd')
            c.dir = optarg;
        else if (option == 'u')
            c.user = optarg;
        else if (option == 'k')
            c.key_file = optarg;
        else if (option == 'o')
            c.keep_key = true;
        else if (option == 'f')
            c.force = true;
        else if (option == 'j')
            c.json = true;
        else if (option == 'h')
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        else if (option != 'n' || !name_add(&c, optarg))
            return verb_usage("cert");
    }
    if (optind >= argc)
        return verb_usage("cert");
    int status = cert_do(&c, argv + optind, argc - optind);
    box_close(&c.box);
    return status;
}
