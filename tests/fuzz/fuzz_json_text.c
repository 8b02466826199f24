/* JSON text changed in place says the same as the document that was changed in memory. The first three bytes
 * choose the change, the rest is the text. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "common/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The text, which is taken, is this document. */
static void is(char *text, const json_t *wanted)
{
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    REQUIRE(json && json_equal(json, wanted));
    json_decref(json);
    free(text);
}

static bool has_escape(const char *text)
{
    return strchr(text, '\\') != NULL; /* names are compared as they are written */
}

static void change_array(const char *text, json_t *json, const json_t *value, size_t index)
{
    char *out = json_text_append(text, "", value);
    REQUIRE(out);
    json_array_append(json, (json_t *)(uintptr_t)value);
    is(out, json);
    json_array_remove(json, json_array_size(json) - 1);
    out = json_text_remove(text, "", index);
    REQUIRE(!out == (index >= json_array_size(json)));
    if (!out)
        return;
    json_array_remove(json, index);
    is(out, json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 3)
        return 0;
    char *text = calloc(1, n - 2), name[2] = {(char)('a' + data[1] % 4), '\0'};
    REQUIRE(text);
    memcpy(text, data + 3, n - 3);
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    json_t *value = data[0] & 1 ? json_pack("{s[i,s]}", "x", 1, "}\"]") : json_integer(data[2]);
    if (json_is_array(json)) {
        change_array(text, json, value, data[1] % 4);
    } else if (json_is_object(json) && !has_escape(text)) {
        char *out = json_text_set(text, "", name, value);
        REQUIRE(out);
        json_object_set(json, name, value);
        is(out, json);
    }
    json_decref(value);
    json_decref(json);
    free(text);
    return 0;
}
