/* `stile-edge worker ROLE INDEX`: the worker processes of an edge. */
#ifndef EDGE_WORKERS_H
#define EDGE_WORKERS_H

int edge_workers_command(int argc, char **argv);

#endif
