/* `stile-core worker ROLE INDEX`: the worker processes of a core. */
#ifndef CORE_WORKERS_H
#define CORE_WORKERS_H

int core_workers_command(int argc, char **argv);

#endif
