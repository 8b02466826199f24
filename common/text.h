/* Words that came from elsewhere (another box, DNS, a library), as people and JSON may have them. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stddef.h>

/* Copies s into out[size > 0]: always valid UTF-8, cut between characters; control characters and bytes that
 * are not UTF-8 become '?'. NULL counts as "". Returns out. */
char *text_copy(char *out, size_t size, const char *s);
/* The same in place, for ASCII control characters only. */
void text_disarm(char *s, size_t n);

#endif
