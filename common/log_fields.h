/* The fields of a log event, `edge=edge1 reason="connection refused"`, taken apart. */
#ifndef COMMON_LOG_FIELDS_H
#define COMMON_LOG_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct log_field {
    char key[48];
    char value[1024];
};

/* The next field of *text, which moves on; false at the end. Text that is no field is left out. A quoted
 * value ends at the quote before the next key or the end, as reasons may have quotes in them. */
bool log_field_next(const char **text, struct log_field *out);
/* All of them as an object of strings; of two with one key the last. NULL when memory is out. */
json_t *log_fields_json(const char *text);

#endif
