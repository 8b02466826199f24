/* The files of the admin page (common/admin/page/), which the Makefile puts into the program. */
#ifndef COMMON_ADMIN_PAGE_H
#define COMMON_ADMIN_PAGE_H

#include <stddef.h>
#include <stdint.h>

struct admin_page_file {
    const char *path; /* "index.html", "pages/turn.js" */
    const uint8_t *start, *end;
};

/* Made by common/admin/embed.sh; ended by a zero row. */
extern const struct admin_page_file admin_page_files[];

/* The file for the path of a URL ("/" is index.html); NULL: there is none. */
const struct admin_page_file *admin_page_find(const char *path, size_t n);
/* By the end of its name; static. */
const char *admin_page_type(const struct admin_page_file *f);

#endif
