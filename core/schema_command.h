/* `stile-core schema`: packaging/stile.schema.json, made of the rows. For the Makefile and tests. */
#ifndef CORE_SCHEMA_COMMAND_H
#define CORE_SCHEMA_COMMAND_H

int schema_command(int argc, char **argv);

#endif
