/* What a command prints with --json: one document, an object; a list is {"items": [...]}. What goes wrong is
 * said in words on standard error, and by the exit status. */
#ifndef COMMON_PRINT_JSON_H
#define COMMON_PRINT_JSON_H

#include <jansson.h>

/* The object as it came, but for "type", which is the daemons' word for what a message is about. Borrowed,
 * but "type" goes. NULL (memory): says so and ends the program with EXIT_FAILED, as nobody shall take silence
 * for an answer. EXIT_OK, or EXIT_FAILED where standard output takes no more, which verb_run tells. */
int print_json(json_t *object);
/* A list, which is the caller's. */
int print_json_items(json_t *items);
/* A text of the user's (a path, a line of a file) for such an object: as it is, or, where it is not UTF-8,
 * with '?' for what JSON cannot hold. NULL: memory. */
json_t *print_json_text(const char *text);

#endif
