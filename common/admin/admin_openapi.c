/* The description of the API (OpenAPI 3.0), made of the route table; what answers look like is in
 * answers.json. */
#include <stdio.h>
#include <string.h>

#include "common/admin/admin_server.h"

__asm__(".section .rodata\n"
        ".hidden admin_answers\n.globl admin_answers\nadmin_answers:\n"
        ".incbin \"common/admin/answers.json\"\n"
        ".hidden admin_answers_end\n.globl admin_answers_end\nadmin_answers_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char admin_answers[] __attribute__((visibility("hidden")));
extern const char admin_answers_end[] __attribute__((visibility("hidden")));

static json_t *reference_to(const char *schema)
{
    return json_pack("{so}", "$ref", json_sprintf("#/components/schemas/%s", schema));
}

static json_t *field_schema(const struct admin_field *f, bool big)
{
    static const char *const types[] = {"string", "integer", "boolean"};
    json_t *s = json_pack("{ss ss}", "type", types[f->kind], "description", f->help);
    if (f->kind == ADMIN_TEXT)
        json_object_set_new(s, "maxLength", json_integer(big ? ADMIN_BIG_MAX : ADMIN_TEXT_MAX));
    if (f->secret)
        json_object_set_new(s, "format", json_string("password"));
    return s;
}

static json_t *route_body(const struct admin_route *r)
{
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < ADMIN_FIELDS_MAX && r->fields[i].name; i++) {
        json_object_set_new(properties, r->fields[i].name, field_schema(&r->fields[i], r->big));
        if (r->fields[i].required)
            json_array_append_new(required, json_string(r->fields[i].name));
    }
    json_t *schema =
        json_pack("{ss so sb}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    return json_pack("{s{s{so}}}", "content", "application/json", "schema", schema);
}

static json_t *route_parameters(const struct admin_route *r)
{
    char name[32];
    json_t *list = json_array();
    if (*admin_route_parameter(r, name))
        json_array_append_new(list, json_pack("{ss ss sb s{ss}}", "name", name, "in", "path", "required", 1,
                                              "schema", "type", "string"));
    for (size_t i = 0; strcmp(r->method, "GET") == 0 && i < ADMIN_FIELDS_MAX && r->fields[i].name; i++)
        json_array_append_new(list, json_pack("{ss ss so}", "name", r->fields[i].name, "in", "query",
                                              "schema", field_schema(&r->fields[i], r->big)));
    return list;
}

static json_t *route_answers(const struct admin_route *r)
{
    const char *type = r->live ? "text/event-stream" : r->text ? "text/plain" : "application/json";
    json_t *answers = json_pack("{s{ss s{s{so}}}}", "200", "description", r->help, "content", type, "schema",
                                reference_to(r->schema));
    json_object_set_new(answers, "default",
                        json_pack("{ss s{s{so}}}", "description", "Why not", "content", "application/json",
                                  "schema", reference_to("Error")));
    return answers;
}

static json_t *route_operation(const struct admin_route *r)
{
    json_t *o = json_pack("{ss so so}", "summary", r->help, "parameters", route_parameters(r), "responses",
                          route_answers(r));
    if (strcmp(r->method, "GET") != 0 && r->fields[0].name)
        json_object_set_new(o, "requestBody", route_body(r));
    if (r->role == ADMIN_ANYONE)
        json_object_set_new(o, "security", json_array());
    else
        json_object_set_new(o, "x-role", json_string(r->role == ADMIN_WRITER ? "admin" : "reader"));
    return o;
}

static json_t *openapi_paths(enum admin_box box)
{
    json_t *paths = json_object();
    for (const struct admin_route *r = admin_routes; r->method; r++) {
        char method[16];
        if (!(r->boxes & box))
            continue;
        json_t *path = json_object_get(paths, r->path);
        if (!path) {
            path = json_object();
            json_object_set_new(paths, r->path, path);
        }
        snprintf(method, sizeof method, "%s", r->method);
        for (char *p = method; *p; p++)
            *p = (char)(*p | 0x20); /* lower case */
        json_object_set_new(path, method, route_operation(r));
    }
    return paths;
}

json_t *admin_openapi(enum admin_box box)
{
    json_t *schemas =
        json_loadb(admin_answers, (size_t)(admin_answers_end - admin_answers), JSON_REJECT_DUPLICATES, NULL);
    return json_pack("{ss s{ss ss ss} s[{ss}] s[{s[]}{s[]}] so s{s{s{ss ss ss} s{ss ss}} so}}", "openapi",
                     "3.0.3", "info", "title", box == ADMIN_CORE ? "Stile core" : "Stile edge", "version",
                     STILE_VERSION, "description",
                     "Changes by cookie need the header X-CSRF-Token with the session's csrf; changes by "
                     "bearer token do not.",
                     "servers", "url", "/", "security", "session", "token", "paths", openapi_paths(box),
                     "components", "securitySchemes", "session", "type", "apiKey", "in", "cookie", "name",
                     ADMIN_COOKIE, "token", "type", "http", "scheme", "bearer", "schemas", schemas);
}
