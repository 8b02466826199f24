/*
 * The local credentials database: TURN users that were made on this edge (`stile-edge user add`), beside
 * those of secrets.json, which every edge has. Kept are the keys that TURN needs (digests of
 * name:realm:password), never the password. Everything is in memory as well: an edge whose database fails
 * goes on with what it knows.
 *
 * A change is in the file before it is in memory; on an error (store.h says which, with the remedy in why,
 * SCHEMA_WHY bytes) it is in neither.
 */
#ifndef EDGE_USERS_H
#define EDGE_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/stun_auth.h"

enum {
    USERS_MAX = 100000,
    USERS_NAME_MAX = 508,    /* bytes, RFC 8489 §14.3 */
    USERS_PASSWORD_MAX = 500 /* bytes */
};

struct user {
    char *name;
    char *realm; /* that the keys are for */
    uint8_t key[STUN_KEY_MD5], key_sha256[STUN_KEY_SHA256];
    bool enabled;
    int64_t created, changed; /* seconds, wall clock */
};

struct users;

enum err users_open(const char *path, struct users **out, char *why);
/* Overwrites the keys. NULL is fine. */
void users_close(struct users *u);
/* Reads the file again if another process has changed it. *changed tells. */
enum err users_refresh(struct users *u, bool *changed, char *why);

/* By name, in the order of their bytes. Good until the next change. */
size_t users_count(const struct users *u);
const struct user *users_at(const struct users *u, size_t i);
/* NULL when there is none. */
const struct user *users_find(const struct users *u, const char *name);
/* The first one behind name, which need not exist. */
size_t users_behind(const struct users *u, const char *name);

/* ERR_EXISTS, ERR_FULL (USERS_MAX, or the disk), ERR_CONFIG (name or password not as they should be). */
enum err users_add(struct users *u, const char *name, const char *realm, const char *password, int64_t now,
                   char *why);
/* ERR_NOT_FOUND. */
enum err users_set_password(struct users *u, const char *name, const char *realm, const char *password,
                            int64_t now, char *why);
enum err users_set_enabled(struct users *u, const char *name, bool enabled, int64_t now, char *why);
enum err users_remove(struct users *u, const char *name, char *why);

/* NULL when right, else what would be right. */
const char *users_check_name(const char *name);
const char *users_check_password(const char *password);

#endif
