#include "common/admin/admin_page.h"

#include <string.h>

const struct admin_page_file *admin_page_find(const char *path, size_t n)
{
    const char *name = n == 1 ? "index.html" : path + 1;
    size_t length = n == 1 ? strlen(name) : n - 1;
    if (n == 0 || path[0] != '/')
        return NULL;
    for (const struct admin_page_file *f = admin_page_files; f->path; f++)
        if (strlen(f->path) == length && memcmp(f->path, name, length) == 0)
            return f;
    return NULL;
}

const char *admin_page_type(const struct admin_page_file *f)
{
    static const struct {
        const char *end, *type;
    } types[] = {{".html", "text/html; charset=utf-8"},
                 {".css", "text/css; charset=utf-8"},
                 {".js", "text/javascript; charset=utf-8"},
                 {".json", "application/json"},
                 {".svg", "image/svg+xml"},
                 {".png", "image/png"}};
    size_t n = strlen(f->path);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        size_t m = strlen(types[i].end);
        if (n > m && strcmp(f->path + n - m, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}
