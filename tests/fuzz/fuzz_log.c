/* What a stranger sends, through the log: quoted it stays within its room and one line, and comes out of the fields
 * as one value, the fields behind it as they were. The first byte chooses the room. */
#include <stdint.h>
#include <string.h>

#include "common/fatal.h"
#include "common/log.h"
#include "common/log_fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *text_of(const json_t *fields, const char *key)
{
    const char *text = json_string_value(json_object_get(fields, key));
    return text ? text : "";
}

static void check_quoted(const uint8_t *data, size_t n, size_t room)
{
    char quoted[256 + 1], line[400];
    quoted[room] = '#';
    log_quote(data, n, quoted, room);
    REQUIRE(quoted[room] == '#' && (room == 0 || memchr(quoted, '\0', room)));
    if (room < 8)
        return;
    for (const char *c = quoted; *c; c++)
        REQUIRE(*c >= ' ' && *c <= '~');
    snprintf(line, sizeof line, "first=1 value=%s last=2", quoted);
    json_t *fields = log_fields_json(line);
    REQUIRE(fields && json_object_size(fields) == 3);
    REQUIRE(strcmp(text_of(fields, "first"), "1") == 0 && strcmp(text_of(fields, "last"), "2") == 0);
    json_decref(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char text[2048];
    if (n == 0)
        return 0;
    check_quoted(data + 1, n - 1, data[0]);
    size_t used = n - 1 < sizeof text - 1 ? n - 1 : sizeof text - 1;
    memcpy(text, data + 1, used);
    text[used] = '\0';
    json_decref(log_fields_json(text)); /* as a whole, as another version may have written it */
    return 0;
}
