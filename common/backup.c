/* The members of a backup, and nothing of its encryption: what a text is made of. */
#include "common/backup.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/events.h"
#include "common/store.h"
#include "common/wire.h"

const char *const backup_databases[BACKUP_DATABASES] = {STORE_FILE, EVENTS_FILE};

bool backup_is_of_database(const char *file)
{
    for (size_t i = 0; i < BACKUP_DATABASES; i++)
        if (strncmp(file, backup_databases[i], strlen(backup_databases[i])) == 0)
            return true;
    return false;
}

enum { MEMBER_HEAD = 2 + 2 + 8, MODE_MOST = 0777 };

/* Nothing that leads out of the folders that restore writes to, and nothing hidden. */
static bool name_is_right(const char *name, size_t n)
{
    size_t slashes = 0;
    if (n == 0 || n >= BACKUP_NAME || name[n - 1] == '/')
        return false;
    for (size_t i = 0; i < n; i++) {
        bool first = i == 0 || name[i - 1] == '/';
        if (name[i] == '/' ? first : !isalnum((unsigned char)name[i]) && (first || !strchr("._-", name[i])))
            return false;
        slashes += name[i] == '/';
    }
    return memchr(name, '\0', n) == NULL && (slashes == 1 || slashes == 2);
}

enum err backup_put(struct buf *text, const struct backup_member *m)
{
    uint8_t head[MEMBER_HEAD];
    size_t length = strlen(m->name);
    if (!name_is_right(m->name, length))
        return ERR_MALFORMED;
    if (buf_room(text) < sizeof head + length || buf_room(text) - sizeof head - length < m->n)
        return ERR_FULL;
    struct wire_writer w = wire_writer(head, sizeof head);
    wire_put_u16(&w, (uint16_t)length);
    wire_put_u16(&w, (uint16_t)(m->mode & MODE_MOST));
    wire_put_u64(&w, m->n);
    enum err e = buf_append(text, head, sizeof head);
    if (e == ERR_OK)
        e = buf_append(text, m->name, length);
    if (e == ERR_OK && m->n)
        e = buf_append(text, m->data, m->n);
    return e;
}

static enum err member_read(struct wire_reader *r, struct backup_member *out)
{
    size_t length = wire_get_u16(r);
    unsigned mode = wire_get_u16(r);
    uint64_t n = wire_get_u64(r);
    const uint8_t *name = wire_get_bytes(r, length);
    if (n > BACKUP_MAX)
        return ERR_TOO_LONG;
    const uint8_t *data = wire_get_bytes(r, (size_t)n);
    if (r->err != ERR_OK)
        return r->err;
    if (!name_is_right((const char *)name, length) || mode > MODE_MOST)
        return ERR_MALFORMED;
    *out = (struct backup_member){.mode = mode, .data = data, .n = (size_t)n};
    memcpy(out->name, name, length);
    return ERR_OK;
}

enum err backup_members(const uint8_t *text, size_t n, struct backup_member **out, size_t *n_out, char *why)
{
    struct wire_reader r = wire_reader(text, n);
    struct backup_member *all = calloc(BACKUP_MEMBERS_MAX, sizeof *all);
    size_t count = 0;
    enum err e = all ? ERR_OK : ERR_MEMORY;
    while (e == ERR_OK && wire_left(&r) > 0) {
        e = count < BACKUP_MEMBERS_MAX ? member_read(&r, &all[count]) : ERR_TOO_LONG;
        for (size_t i = 0; e == ERR_OK && i < count; i++)
            if (strcmp(all[i].name, all[count].name) == 0)
                e = ERR_EXISTS;
        count += e == ERR_OK;
    }
    if (e != ERR_OK) {
        free(all);
        snprintf(why, BACKUP_WHY, "file %zu in it: %s", count + 1, err_str(e));
        return e == ERR_MEMORY ? e : ERR_MALFORMED;
    }
    *out = all;
    *n_out = count;
    return ERR_OK;
}
