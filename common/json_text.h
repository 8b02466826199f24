/*
 * JSON text that stays its owner's: where a value stands in it, and changes that leave every other byte
 * alone, spaces and order included. The text must be valid JSON (json_loads has taken it).
 *
 * Pointers are as in "/edges/0/name"; "" is the document itself. Members whose names hold '/' have none.
 */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <jansson.h>
#include <stddef.h>

/* Where the value at pointer begins; NULL when it is not there. */
const char *json_text_find(const char *text, const char *pointer);
/* The same; of a value that is not there, where the innermost container of it that is there begins. */
const char *json_text_nearest(const char *text, const char *pointer);

/* Each returns the changed text, malloc'd; NULL when memory is out, or nothing of the right kind stands at
 * the pointer. What is added is written as its neighbours are: on a line of its own, indented, where they
 * are. */

/* Gives member `key` of the object at pointer this value; a new one becomes its last. */
char *json_text_set(const char *text, const char *pointer, const char *key, const json_t *value);
/* Adds a value behind the last one of the array at pointer. */
char *json_text_append(const char *text, const char *pointer, const json_t *value);
/* Takes value `index` out of the array at pointer. */
char *json_text_remove(const char *text, const char *pointer, size_t index);

#endif
