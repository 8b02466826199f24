#include "core/schema_command.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/config.h"
#include "common/schema_describe.h"
#include "common/verb.h"
#include "proto/allowlist.h"

/* extra_rules, as proto/allowlist.h has them. */
static json_t *rules_schema(const struct schema_row *row)
{
    json_t *methods = json_array();
    (void)row; /* the only kind of value that the rows leave open */
#define X(name) json_array_append_new(methods, json_string(#name));
    ALLOWLIST_METHODS(X)
#undef X
    return json_pack(
        "{ss si s{ss sb s[s] s{s{ss} s{s[ss] ss} s{ss} s{ss si si si} s{s[ss] ss} s{ss ss} s{ss si s{so}}}}}",
        "type", "array", "maxItems", (int)ALLOWLIST_RULES_MAX, "items", "type", "object",
        "additionalProperties", 0, "required", "host", "properties", "description", "type", "string",
        "scheme", "enum", "https", "wss", "default", "https", "host", "type", "string", "port", "type",
        "integer", "minimum", 1, "maximum", 65535, "default", 443, "match", "enum", "prefix", "exact",
        "default", "prefix", "path", "type", "string", "default", "/", "methods", "type", "array", "minItems",
        1, "items", "enum", methods);
}

int schema_command(int argc, char **argv)
{
    static const struct schema_words words = {.pattern = config_pattern, .any = rules_schema};
    (void)argv;
    if (argc != 1)
        return verb_usage("schema");
    json_t *rest = schema_describe(config_rows, &words);
    json_t *schema = json_pack("{ss ss ss}", "$schema", "https://json-schema.org/draft/2020-12/schema", "title",
                               "stile.json", "description",
                               "The config that core and edges of Stile share; made by 'stile-core schema'. What it "
                               "cannot say (a name that is there twice, ports that collide) 'stile-core config "
                               "check' does");
    json_object_update(schema, rest);
    char *text = json_dumps(schema, JSON_INDENT(2));
    int status = text && puts(text) >= 0 ? EXIT_OK : EXIT_FAILED;
    free(text);
    json_decref(rest);
    json_decref(schema);
    return status;
}
