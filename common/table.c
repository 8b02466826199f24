#include "common/table.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/text.h"

enum { TABLE_CELL = 200, TABLE_COLUMNS = 16 };

const char *table_age(double seconds, char *out, size_t size)
{
    long s = (long)seconds;
    if (s < 60)
        snprintf(out, size, "%lds", s);
    else if (s < 3600)
        snprintf(out, size, "%ldm %lds", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, size, "%ldh %ldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, size, "%ldd %ldh", s / 86400, s / 3600 % 24);
    return out;
}

static void cell_text(const json_t *value, char out[TABLE_CELL])
{
    size_t i, used = 0;
    json_t *item;
    if (json_is_string(value))
        text_copy(out, TABLE_CELL, json_string_value(value));
    else if (json_is_integer(value))
        snprintf(out, TABLE_CELL, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, TABLE_CELL, "%.2f", json_real_value(value));
    else if (json_is_array(value))
        json_array_foreach ((json_t *)(uintptr_t)value, i, item) {
            if (i && used + 1 < TABLE_CELL)
                out[used++] = ',';
            text_copy(out + used, TABLE_CELL - used, json_string_value(item));
            used += strlen(out + used);
        }
}

static void cell_time(const json_t *value, char out[TABLE_CELL])
{
    time_t t = (time_t)json_number_value(value);
    struct tm tm;
    if (t > 0 && localtime_r(&t, &tm))
        strftime(out, TABLE_CELL, "%Y-%m-%d %H:%M:%S", &tm);
}

static void cell_bytes(double bytes, const char *before, const char *after, char out[TABLE_CELL])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    snprintf(out, TABLE_CELL, unit ? "%s%.1f %s%s" : "%s%.0f %s%s", before, bytes, units[unit], after);
}

static void cell_traffic(const json_t *value, char out[TABLE_CELL])
{
    char packets[32];
    snprintf(packets, sizeof packets, "%lld / ",
             (long long)json_integer_value(json_object_get(value, "packets")));
    cell_bytes(json_number_value(json_object_get(value, "bytes")), packets, "", out);
}

static void cell_print(const struct table_column *column, const json_t *row, char out[TABLE_CELL])
{
    const json_t *value = json_object_get(row, column->key);
    double number = json_number_value(value);
    strcpy(out, "-");
    switch (column->kind) {
    case TABLE_TEXT:
        cell_text(value, out);
        break;
    case TABLE_STATE:
        cell_text(value, out);
        out[0] = (char)toupper((unsigned char)out[0]);
        break;
    case TABLE_TIME:
        cell_time(value, out);
        break;
    case TABLE_AGE:
        table_age(number, out, TABLE_CELL);
        break;
    case TABLE_MS:
        if (number > 0)
            snprintf(out, TABLE_CELL, "%.2f ms", number);
        break;
    case TABLE_LIMIT:
        if (number > 0)
            snprintf(out, TABLE_CELL, "%.0f", number);
        else
            text_copy(out, TABLE_CELL, "none");
        break;
    case TABLE_COUNT:
        snprintf(out, TABLE_CELL, "%zu", json_array_size(value));
        break;
    case TABLE_BYTES:
        if (json_is_number(value))
            cell_bytes(number, "", "", out);
        break;
    case TABLE_RATE:
        if (json_is_number(value))
            cell_bytes(number, "", "/s", out);
        break;
    case TABLE_TRAFFIC:
        cell_traffic(value, out);
        break;
    }
    if (!out[0])
        strcpy(out, "-");
}

void table_print(FILE *out, const char *title, const struct table_column *columns, const json_t *rows,
                 const char *none)
{
    char cell[TABLE_CELL];
    int widths[TABLE_COLUMNS] = {0};
    size_t n = 0, i;
    json_t *row;
    fprintf(out, "\n%s\n", title);
    if (json_array_size(rows) == 0) {
        fprintf(out, "  %s\n", none);
        return;
    }
    for (; columns[n].title && n < TABLE_COLUMNS; n++) {
        widths[n] = (int)strlen(columns[n].title);
        json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
            cell_print(&columns[n], row, cell);
            widths[n] = (int)strlen(cell) > widths[n] ? (int)strlen(cell) : widths[n];
        }
    }
    for (size_t c = 0; c < n; c++)
        fprintf(out, "  %-*s", c + 1 < n ? widths[c] : 0, columns[c].title);
    fputc('\n', out);
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
        for (size_t c = 0; c < n; c++) {
            cell_print(&columns[c], row, cell);
            fprintf(out, "  %-*s", c + 1 < n ? widths[c] : 0, cell);
        }
        fputc('\n', out);
    }
}
