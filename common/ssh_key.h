/* Ed25519 keys in OpenSSH's format (PROTOCOL.key), made in memory: a private key lies in no file but its own.
 */
#ifndef COMMON_SSH_KEY_H
#define COMMON_SSH_KEY_H

#include "common/err.h"

struct ssh_key {
    char *private_pem; /* wipe with ssh_key_free */
    char *public_line; /* "ssh-ed25519 AAAA…", no comment, no newline */
};

/* Makes a key. ERR_MEMORY, or ERR_SYSTEM where OpenSSL has no random bytes or no Ed25519. */
enum err ssh_key_make(struct ssh_key *out);
/* The public line of a private key in that format, malloc'd; NULL when it is none, or memory is out. */
char *ssh_key_public_of(const char *private_pem);
void ssh_key_free(struct ssh_key *k);

#endif
