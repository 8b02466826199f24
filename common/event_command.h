/* The commands `alarm` and `event` of both programs. socket is the daemon's, in the run folder. */
#ifndef COMMON_EVENT_COMMAND_H
#define COMMON_EVENT_COMMAND_H

#include <jansson.h>

int alarm_command(int argc, char **argv, const char *socket);
int event_command(int argc, char **argv, const char *socket);
/* For `status`: the alarms that are raised, a line each; nothing when there are none. items as in the verb
 * alarms. */
void alarms_print_brief(const json_t *items);

#endif
