/* What core's workers may ask the kernel for. */
#include "core/workers.h"
#include "tests/unit/confined.h"

int main(void)
{
    return confined_run("core_confined", core_worker_roles);
}
