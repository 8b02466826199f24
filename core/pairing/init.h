/* `stile-core init`: makes the shared config, core's secrets, and one bundle per edge. */
#ifndef CORE_PAIRING_INIT_H
#define CORE_PAIRING_INIT_H

int init_command(int argc, char **argv);

#endif
