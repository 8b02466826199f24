/*
 * The routes of the admin API: one row each says who may use it, which verb of main it becomes, what it takes
 * and what it answers. The worker finds a request's row and reads its arguments; main judges both again, by
 * the same rows. The OpenAPI file is made of them.
 */
#ifndef COMMON_ADMIN_ROUTE_H
#define COMMON_ADMIN_ROUTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum admin_box { ADMIN_EDGE = 1, ADMIN_CORE = 2, ADMIN_BOTH = 3 };

/* Each may do what those before it may. */
enum admin_role { ADMIN_ANYONE, ADMIN_READER, ADMIN_WRITER };

enum admin_kind { ADMIN_TEXT, ADMIN_NUMBER, ADMIN_FLAG };

/* One argument: of the query for GET, of the JSON object in the body otherwise. */
struct admin_field {
    const char *name;
    enum admin_kind kind;
    bool required;
    bool secret; /* not written into the audit */
    const char *help;
};

enum { ADMIN_FIELDS_MAX = 6, ADMIN_TEXT_MAX = 2048, ADMIN_BIG_MAX = 1024 * 1024 };

struct admin_route {
    const char *method, *path; /* "/api/v1/bans/{address}": what is in braces is an argument as well */
    enum admin_role role;
    unsigned boxes;     /* of enum admin_box */
    const char *verb;   /* the type of the message to main; */
    const char *word;   /* its member "verb", or NULL */
    const char *list;   /* the member of its answer that is told as "items", or NULL */
    bool only_list;     /* and nothing else of the answer is told */
    bool big;           /* texts of ADMIN_BIG_MAX instead of ADMIN_TEXT_MAX */
    bool live;          /* server-sent events */
    bool text;          /* the answer is its member "text" */
    bool asks;          /* changes nothing, though it is no GET */
    const char *schema; /* of the answer, in openapi.json */
    const char *help;
    struct admin_field fields[ADMIN_FIELDS_MAX];
};

/* Ended by a zero row. */
extern const struct admin_route admin_routes[];

size_t admin_route_index(const struct admin_route *r);
/* The row with this index, if this box has it; else NULL. */
const struct admin_route *admin_route_at(json_int_t index, enum admin_box box);
/* The row for a method and a path (without query). The path's argument, decoded, goes into args (an object).
 * ERR_NOT_FOUND; ERR_UNSUPPORTED: the path has other methods, listed in allow[64]; ERR_MALFORMED: an argument
 * that is no text. */
enum err admin_route_find(enum admin_box box, const char *method, size_t n_method, const char *path,
                          size_t n_path, json_t *args, const struct admin_route **out, char allow[64]);
/* Reads "a=1&b=x" into args by the row's fields. ERR_MALFORMED with why[size]. */
enum err admin_route_query(const struct admin_route *r, const char *query, size_t n, json_t *args, char *why,
                           size_t size);
/* Judges all arguments: none that is not known, each of its kind and length, none missing. */
enum err admin_route_judge(const struct admin_route *r, const json_t *args, char *why, size_t size);
/* The name of the argument in the path, into out[32]; "" where there is none. */
const char *admin_route_parameter(const struct admin_route *r, char out[32]);

#endif
