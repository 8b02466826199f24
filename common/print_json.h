/* What a command prints with --json: one document, an object; a list is {"items": [...]}. What goes wrong is
 * said in words on standard error, and by the exit status. */
#ifndef COMMON_PRINT_JSON_H
#define COMMON_PRINT_JSON_H

#include <jansson.h>

/* The object as it came, but for "type", which is the daemons' word for what a message is about. Borrowed,
 * but "type" goes. NULL (memory): nothing. EXIT_OK, or EXIT_FAILED when standard output is closed. */
int print_json(json_t *object);
/* A list, which is the caller's. */
int print_json_items(json_t *items);

#endif
