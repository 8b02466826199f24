/* "Cannot happen" aborts with a message; "can happen" is an enum err. */
#ifndef COMMON_FATAL_H
#define COMMON_FATAL_H

#include <stddef.h>

/* Prints the message to stderr and aborts. */
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define REQUIRE(condition)                                                                                   \
    do {                                                                                                     \
        if (__builtin_expect(!(condition), 0))                                                               \
            fatal("%s:%d: %s does not hold", __FILE__, __LINE__, #condition);                                \
    } while (0)

/* Allocation of small, fixed-size things at start-up; aborts when memory is out. */
void *xcalloc(size_t n, size_t size);
char *xstrdup(const char *s);

#endif
