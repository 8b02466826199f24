/* Two texts, line by line, as diff -u shows what is different. */
#ifndef COMMON_DIFF_H
#define COMMON_DIFF_H

/* The differences with three lines around each, under the names of both; "" when there are none. The caller
 * frees it; NULL when memory is out. Texts that differ in too much are shown as one replaced by the other. */
char *diff_unified(const char *from, const char *from_name, const char *to, const char *to_name);

#endif
