#include "common/print_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/verb.h"

int print_json(json_t *object)
{
    if (!object) {
        fprintf(stderr, "%s: out of memory for what there is to print\n", program_invocation_short_name);
        exit(EXIT_FAILED);
    }
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

json_t *print_json_text(const char *text)
{
    json_t *string = json_string(text);
    size_t room = strlen(text) + 1;
    char *repaired = string ? NULL : malloc(room);
    if (repaired)
        string = json_string(text_copy(repaired, room, text));
    free(repaired);
    return string;
}
