/*
 * What guests may ask for: a list of rules, judged in core (the authority) and early in the edge (to save the
 * trip) with the same code. Nothing that no rule allows passes.
 *
 * In JSON a list is an array of
 *   {"description": "...", "scheme": "https"|"wss", "host": "...", "port": 443, "match": "prefix"|"exact",
 *    "path": "/", "methods": ["GET", ...]}
 */
#ifndef PROTO_ALLOWLIST_H
#define PROTO_ALLOWLIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/canonical.h"
#include "proto/http_message.h"

/* The methods a rule can allow. CONNECT and TRACE are none of them. */
#define ALLOWLIST_METHODS(X) X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(PATCH) X(OPTIONS)

enum allowlist_method {
#define X(name) ALLOWLIST_##name,
    ALLOWLIST_METHODS(X)
#undef X
        ALLOWLIST_METHOD_COUNT
};

/* What the automatic rules allow unless the config says otherwise. */
#define ALLOWLIST_DEFAULT_METHODS                                                                            \
    (1u << ALLOWLIST_GET | 1u << ALLOWLIST_POST | 1u << ALLOWLIST_PUT | 1u << ALLOWLIST_HEAD |               \
     1u << ALLOWLIST_DELETE)

enum { ALLOWLIST_RULES_MAX = 1000, ALLOWLIST_WHY = 512 };

struct allowlist_rule {
    char *description;
    bool websocket; /* scheme wss, else https */
    char *host;     /* canonical */
    uint16_t port;
    bool exact;
    char *path; /* canonical */
    size_t path_len;
    unsigned methods; /* bits 1 << enum allowlist_method */
};

struct allowlist {
    struct allowlist_rule *rules;
    size_t n, size;
};

enum allowlist_result {
    ALLOWLIST_ALLOW,
    ALLOWLIST_WRONG_HOST,   /* 421: no rule for this host and port */
    ALLOWLIST_WRONG_TARGET, /* 403: host known, but not this scheme, path or method */
    ALLOWLIST_MALFORMED,    /* 400: cannot be brought into canonical form */
};

struct allowlist_verdict {
    enum allowlist_result result;
    unsigned status;                   /* 0, 421, 403 or 400 */
    const struct allowlist_rule *rule; /* the rule that allows; NULL on refusal */
    char why[ALLOWLIST_WHY];           /* refused: what was missing, one line of printable text; else "" */
};

void allowlist_init(struct allowlist *a);
void allowlist_free(struct allowlist *a);

/* Replaces *a by the rules in a JSON array; why says which rule and key is wrong (ERR_CONFIG). *a is
 * unchanged on error. */
enum err allowlist_from_json(const json_t *array, struct allowlist *a, char *why, size_t why_size);
/* A new array; NULL when memory is out. */
json_t *allowlist_to_json(const struct allowlist *a);
/* Appends one rule; texts are copied and brought into canonical form. ERR_CONFIG, ERR_FULL, ERR_MEMORY. */
enum err allowlist_add(struct allowlist *a, const struct allowlist_rule *rule, char *why, size_t why_size);
/* Drops all rules but the first n; n is not above a->n. */
void allowlist_truncate(struct allowlist *a, size_t n);
/* Appends the two automatic rules of a join URL: everything below / over https and wss. */
enum err allowlist_add_join_url(struct allowlist *a, const char *host, uint16_t port, unsigned methods,
                                char *why, size_t why_size);

/* {"GET", ...} to bits. ERR_CONFIG with words. */
enum err allowlist_methods_from_json(const json_t *array, unsigned *methods, char *why, size_t why_size);
/* The bit of a method name (case matters, RFC 9110 §9.1); 0 when it is none of the table. */
unsigned allowlist_method_bit(struct span method);
/* "GET,POST" into out; returns out. */
const char *allowlist_methods_print(unsigned methods, char *out, size_t size);

/* Judges a request: brings it into canonical form (*c, valid unless MALFORMED) and looks for a rule. Writes
 * why only on refusal. */
void allowlist_judge(const struct allowlist *a, const struct http_message *m, struct canonical *c,
                     struct allowlist_verdict *v);
/* True when some rule has that host, whatever its port; *port is the first such https rule's. */
bool allowlist_knows_host(const struct allowlist *a, const char *host, uint16_t *port);

#endif
