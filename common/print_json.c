#include "common/print_json.h"

#include <stdio.h>

#include "common/verb.h"

int print_json(json_t *object)
{
    json_object_del(object, "type");
    return json_dumpf(object, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF ? EXIT_OK : EXIT_FAILED;
}

int print_json_items(json_t *items)
{
    json_t *object = json_pack("{sO}", "items", items);
    int status = print_json(object);
    json_decref(object);
    return status;
}
