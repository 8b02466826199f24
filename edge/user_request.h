/*
 * What `stile-edge user` asks, as a message, and its answer: the same where the running edge is asked and
 * where the command works on the database itself.
 *
 *   {"type":"user","verb":"add","name":…,"password":…}      also "password"
 *   {"type":"user","verb":"enable","name":…}                also "disable", "remove"
 *   {"type":"user","verb":"list","after":NAME}              the next USER_LIST_MOST behind NAME; "" or none:
 * the first
 *   {"type":"user","verb":"token","name":…,"ttl":SECONDS}
 *
 * Answers: {"type":"user","done":TEXT}, {"type":"user","users":[…],"more":bool},
 * {"type":"user","username":…,"password":…,"expires":SECONDS}, {"type":"error","reason":…}.
 */
#ifndef EDGE_USER_REQUEST_H
#define EDGE_USER_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/secrets.h"
#include "edge/users.h"

enum { USER_LIST_MOST = 1000, USER_TOKEN_TTL = 86400, USER_TOKEN_TTL_MAX = 366 * 86400 };

struct user_book {
    struct users *users; /* NULL: the database does not work, */
    const char *problem; /* for this reason */
    const struct secrets *secrets;
    const char *realm;
};

/* The answer; NULL when memory is out. *changed is the name (in msg) of the user whom workers have to hear
 * about, NULL where nothing changed. now: wall clock. */
json_t *user_request(const struct user_book *book, const json_t *msg, int64_t now, const char **changed);

#endif
