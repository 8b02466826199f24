/* The folder of a box (--dir): which files are in it, and where its sockets (--run-dir) and its database
 * (--state-dir) are. */
#ifndef COMMON_BOX_H
#define COMMON_BOX_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/err.h"
#include "common/secrets.h"

#define BOX_DIR   "/etc/stile"
#define BOX_RUN   "/run/stile"
#define BOX_STATE "/var/lib/stile"
#define BOX_USER  "stile"

/* Files in --dir. */
#define BOX_CONFIG        "stile.json"
#define BOX_SECRETS       "secrets.json"
#define BOX_IDENTITY      "identity"             /* this box's name in stile.json */
#define BOX_CORE_KEY      "core_ed25519"         /* core: SSH client key */
#define BOX_NEXT_CORE_KEY "core_ed25519.next"    /* the one that a rotation will put in its place */
#define BOX_KEYS          "keys.json"            /* public keys that the boxes made and told each other */
#define BOX_HOST_KEY      "ssh_host_ed25519_key" /* edge: SSH host key */
#define BOX_NEXT_HOST_KEY "ssh_host_ed25519_key.next" /* one that it made and core has not ordered yet */
#define BOX_CERT          "cert.pem"                  /* edge: a certificate with chain, */
#define BOX_CERT_KEY      "key.pem"                   /* and its key; further ones: edge/certificates.h */
#define BOX_NEXT_KEY      "next_key.pem" /* edge: the key of a signing request, until its certificate comes */
/* Sockets in the run folder. */
#define BOX_EDGE_SOCKET   "edge.sock"
#define BOX_CORE_SOCKET   "core.sock"
#define BOX_ATTACH_SOCKET "attach.sock"

struct box {
    char dir[PATH_MAX - 64], run[PATH_MAX - 64], state[PATH_MAX - 64];
    char name[64];
    struct config config;
    struct secrets secrets;
};

/* Sets dir (made absolute; it must exist) and run: run_dir (made absolute) when given, else /run/stile for
 * /etc/stile, else DIR/run. state becomes /var/lib/stile for /etc/stile, else DIR/state. */
enum err box_open(struct box *b, const char *dir, const char *run_dir, char *why);
/* Sets state to state_dir, made absolute. NULL: stays. */
enum err box_set_state(struct box *b, const char *state_dir, char *why);
/* Makes the run and the state folder where they are missing, and as root gives them to user. */
enum err box_make_run_dir(const struct box *b, const char *user, char *why);
enum err box_make_state_dir(const struct box *b, const char *user, char *why);
/* For the commands that fill a folder: makes dir if it is missing, opens it, and as root gives it to user. */
enum err box_make_dir(struct box *b, const char *dir, const char *user, char *why);
/* Reads identity, stile.json and secrets.json into b. why has SCHEMA_WHY bytes. */
enum err box_load(struct box *b, char *why);
/* The files of an open box as they are now, into fresh, which box_close frees, also after an error. */
enum err box_load_again(const struct box *b, struct box *fresh, char *why);
/* The same with text in place of stile.json (NULL: the file), which messages call name (NULL: as the file).
 */
enum err box_load_text(const struct box *b, const char *name, const char *text, struct box *fresh,
                       char *why);
/* Why stile.json cannot be replaced by us as it is, in words; NULL: it can. */
const char *box_config_fixed(const struct box *b);
/* Replaces stile.json as a whole; its mode stays, and it stays ours. why has SCHEMA_WHY bytes. */
enum err box_replace_config(const struct box *b, const char *text, char *why);
void box_close(struct box *b);
/* Absolute path of a file in dir, in run or in state, into a static buffer of its own per call site:
 * out[PATH_MAX]. */
const char *box_file(const struct box *b, const char *name, char out[PATH_MAX]);
const char *box_run_file(const struct box *b, const char *name, char out[PATH_MAX]);
const char *box_state_file(const struct box *b, const char *name, char out[PATH_MAX]);
/* Writes a file in dir, owned by the daemons' user when we are root. */
enum err box_write(const struct box *b, const char *name, const void *data, size_t n, mode_t mode,
                   const char *user, char *why);

#endif
