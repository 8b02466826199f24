#include "common/csv.h"

#include <stdbool.h>
#include <string.h>

void csv_open(struct csv *c, char *text)
{
    static const char mark[] = "\xEF\xBB\xBF";
    c->at = strncmp(text, mark, sizeof mark - 1) == 0 ? text + sizeof mark - 1 : text;
    c->line = 1;
}

/* At the end of a field: NULL unless a comma, a line end or the end of the text is there. */
static bool field_ends(const char *at)
{
    return *at == ',' || *at == '\n' || *at == '\0' || (at[0] == '\r' && at[1] == '\n');
}

/* Reads a quoted field in place; returns its end, behind the closing quote, or NULL. */
static char *quoted_read(struct csv *c, char *at)
{
    char *out = at;
    for (at++; *at; at++) {
        if (*at == '"' && at[1] != '"') {
            *out = '\0';
            return at + 1;
        }
        at += *at == '"';
        c->line += *at == '\n';
        *out++ = *at;
    }
    return NULL;
}

/* The field at c->at into *field; c->at then is at what ends it. */
static enum err field_read(struct csv *c, char **field, char *why)
{
    char *end = c->at;
    *field = c->at;
    if (*c->at == '"') {
        end = quoted_read(c, c->at);
        if (!end || !field_ends(end)) {
            snprintf(why, CSV_WHY,
                     end ? "a closing quote must be followed by a comma or the end of the line"
                         : "a quote is not closed");
            return ERR_MALFORMED;
        }
    } else {
        while (!field_ends(end) && *end != '"')
            end++;
        if (*end == '"') {
            snprintf(why, CSV_WHY, "a quote in the middle of a field that is not quoted");
            return ERR_MALFORMED;
        }
    }
    c->at = end;
    return ERR_OK;
}

enum err csv_next(struct csv *c, struct csv_row *row, char *why)
{
    row->n = 0;
    while (*c->at == '\n' || (c->at[0] == '\r' && c->at[1] == '\n')) {
        c->at += *c->at == '\r' ? 2 : 1;
        c->line++;
    }
    row->line = c->line;
    if (!*c->at)
        return ERR_EOF;
    for (;;) {
        if (row->n == CSV_FIELDS_MAX) {
            snprintf(why, CSV_WHY, "more than %d fields", CSV_FIELDS_MAX);
            return ERR_MALFORMED;
        }
        enum err e = field_read(c, &row->fields[row->n++], why);
        if (e != ERR_OK)
            return e;
        char ended = *c->at;
        size_t skip = ended == '\0' ? 0 : ended == '\r' ? 2 : 1;
        *c->at = '\0';
        c->at += skip;
        if (ended != ',') {
            c->line += ended != '\0';
            return ERR_OK;
        }
    }
}

void csv_put(FILE *out, const char *field)
{
    if (!strpbrk(field, ",\"\r\n")) {
        fputs(field, out);
        return;
    }
    fputc('"', out);
    for (; *field; field++) {
        if (*field == '"')
            fputc('"', out);
        fputc(*field, out);
    }
    fputc('"', out);
}
