/* What edge's workers may ask the kernel for. */
#include "edge/workers.h"
#include "tests/unit/confined.h"

int main(void)
{
    return confined_run("edge_confined", edge_worker_roles);
}
