/* `stile-edge turn`: the turn workers alone, in the foreground: for labs, benchmarks, and people who only
 * need TURN. */
#ifndef EDGE_TURN_TURN_COMMAND_H
#define EDGE_TURN_TURN_COMMAND_H

/* argv[0] is the verb. Exit status: 0 stopped by a signal, 1 failure, 2 usage. */
int turn_command(int argc, char **argv);

#endif
