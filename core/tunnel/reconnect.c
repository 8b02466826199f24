#include "core/tunnel/reconnect.h"

void reconnect_init(struct reconnect *r)
{
    *r = (struct reconnect){.failures = 0};
}

void reconnect_up(struct reconnect *r, double now)
{
    r->up = true;
    r->up_since = now;
}

double reconnect_down(struct reconnect *r, double now, uint32_t random)
{
    if (r->up && now - r->up_since >= RECONNECT_STEADY)
        r->failures = r->short_lives = 0;
    else if (r->up && ++r->short_lives <= RECONNECT_SHORT_LIVES)
        r->failures = 0;
    r->up = false;
    double most = RECONNECT_FIRST;
    for (unsigned i = 0; i < r->failures && most < RECONNECT_MAX; i++)
        most *= 2;
    if (most > RECONNECT_MAX)
        most = RECONNECT_MAX;
    if (most < RECONNECT_MAX)
        r->failures++;
    return most / 2 + most / 2 * ((double)random / UINT32_MAX);
}
