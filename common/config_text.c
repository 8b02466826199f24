#include "common/config_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"

static const char key_characters[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.[]-";

/* Changes ------------------------------------------------------------------------------------------------ */

struct changes {
    char *out;
    size_t size, more; /* more: those that out had no room for */
    char path[160];
};

static void changes_note(struct changes *c)
{
    size_t n = strlen(c->out);
    static const size_t reserve = sizeof " and 1000000 more";
    if (n + strlen(c->path) + reserve + 2 < c->size)
        snprintf(c->out + n, c->size - n, "%s%s", n ? ", " : "", c->path);
    else
        c->more++;
}

static void changes_value(struct changes *c, const json_t *a, const json_t *b);

/* step: ".KEY" or "[INDEX]". */
static void changes_member(struct changes *c, const char *step, const json_t *a, const json_t *b)
{
    size_t n = strlen(c->path);
    snprintf(c->path + n, sizeof c->path - n, "%s", n || *step != '.' ? step : step + 1);
    changes_value(c, a, b);
    c->path[n] = '\0';
}

/* Lists of the same length are looked into where objects are in them; the rest is one change. */
static void changes_value(struct changes *c, const json_t *a, const json_t *b)
{
    const char *key;
    char step[64];
    json_t *value;
    size_t i;
    if (a && b && json_equal(a, b))
        return;
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach ((json_t *)(uintptr_t)a, key, value) {
            snprintf(step, sizeof step, ".%s", key);
            changes_member(c, step, value, json_object_get(b, key));
        }
        json_object_foreach ((json_t *)(uintptr_t)b, key, value) {
            snprintf(step, sizeof step, ".%s", key);
            if (!json_object_get(a, key))
                changes_member(c, step, NULL, value);
        }
    } else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b) &&
               json_is_object(json_array_get(a, 0))) {
        json_array_foreach (a, i, value) {
            snprintf(step, sizeof step, "[%zu]", i);
            changes_member(c, step, value, json_array_get(b, i));
        }
    } else if (strcmp(c->path, "revision") != 0) {
        changes_note(c);
    }
}

const char *config_changes(const json_t *from, const json_t *to, char *out, size_t size)
{
    struct changes c = {.out = out, .size = size};
    *out = '\0';
    changes_value(&c, from, to);
    size_t n = strlen(out);
    if (c.more)
        snprintf(out + n, size - n, " and %zu more", c.more);
    return out;
}

/* Problems ----------------------------------------------------------------------------------------------- */

/* "web_proxy.domains[0].targets" to "/web_proxy/domains/0/targets". */
static void key_pointer(const char *key, size_t n, char *out, size_t size)
{
    size_t used = 0;
    out[used++] = '/';
    for (size_t i = 0; i < n && used + 1 < size; i++)
        if (key[i] != ']')
            out[used++] = key[i] == '.' || key[i] == '[' ? '/' : key[i];
    out[used] = '\0';
}

void config_problem_place(const struct schema_source *source, char *why)
{
    char pointer[256], words[SCHEMA_WHY];
    size_t n = strspn(why, key_characters), rule = 0;
    if (n == 0 || n > 200 || strncmp(why + n, ": ", 2) != 0)
        return;
    key_pointer(why, n, pointer, sizeof pointer - 24);
    if (!json_text_find(source->text, pointer))
        return;
    snprintf(words, sizeof words, "%s", why + n + 2);
    const char *rest = strstr(words, ": ");
    bool numbered = sscanf(words, "rule %zu:", &rule) == 1 && rule > 0 && rest;
    if (numbered)
        snprintf(pointer + strlen(pointer), 24, "/%zu", rule - 1);
    (void)schema_problem(source, pointer, why, "%s", numbered ? rest + 2 : words);
}

/* The length of "FILE:LINE" in front of ": ", and the line; 0 when it does not begin so. */
static size_t problem_line(const char *why, unsigned *line)
{
    const char *end = strstr(why, ": "), *p = end;
    while (p && p > why && isdigit((unsigned char)p[-1]))
        p--;
    if (!p || p == end || p <= why || p[-1] != ':')
        return 0;
    *line = (unsigned)strtoul(p, NULL, 10);
    return (size_t)(end - why);
}

json_t *config_problem_json(const char *why)
{
    unsigned line = 0;
    json_t *problem = json_object();
    size_t n = problem_line(why, &line);
    const char *message = why;
    if (n > 0) {
        size_t file = n;
        while (why[file - 1] != ':')
            file--;
        json_object_set_new(problem, "file", json_stringn(why, file - 1));
        json_object_set_new(problem, "line", json_integer(line));
        message = why + n + 2;
        size_t key = strspn(message, key_characters);
        if (key > 0 && strncmp(message + key, ": ", 2) == 0) {
            json_object_set_new(problem, "key", json_stringn(message, key));
            message += key + 2;
        }
    } else if (*why == '/' && strstr(why, ": ")) { /* a file as a whole */
        n = (size_t)(strstr(why, ": ") - why);
        json_object_set_new(problem, "file", json_stringn(why, n));
        message = why + n + 2;
    }
    if (json_object_set_new(problem, "message", json_string(message)) == 0)
        return problem;
    json_decref(problem);
    return NULL;
}
