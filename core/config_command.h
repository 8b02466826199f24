/* `stile-core config`. */
#ifndef CORE_CONFIG_COMMAND_H
#define CORE_CONFIG_COMMAND_H

#include <jansson.h>

int config_command(int argc, char **argv);
/* What a change did, as core_change.h has its answer, in words: "reloaded: revision 3; …". */
void config_print_change(const char *what, const json_t *answer);

#endif
