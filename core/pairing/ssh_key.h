/* Ed25519 keys in OpenSSH's format, made by ssh-keygen. */
#ifndef CORE_PAIRING_SSH_KEY_H
#define CORE_PAIRING_SSH_KEY_H

#include "common/err.h"

struct ssh_key {
    char *private_pem; /* wipe with ssh_key_free */
    char *public_line; /* "ssh-ed25519 AAAA…", no comment, no newline */
};

/* Makes a key in dir (nothing stays there). why has SCHEMA_WHY bytes. */
enum err ssh_key_make(const char *dir, struct ssh_key *out, char *why);
void ssh_key_free(struct ssh_key *k);

#endif
