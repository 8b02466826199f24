/* The verb "admin" on the database of a box that does not run. */
#ifndef COMMON_ADMIN_OFFLINE_H
#define COMMON_ADMIN_OFFLINE_H

#include <jansson.h>

#include "common/box.h"

/* As the running box would answer msg. why[SCHEMA_WHY]. */
enum err admin_offline(const struct box *box, const json_t *msg, json_t **answer, char *why);

#endif
