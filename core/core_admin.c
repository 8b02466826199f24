/* The admin service of core: common/admin does the work. */
#include "common/admin/admin_command.h"
#include "common/fatal.h"
#include "core/core.h"

/* Its own row in the config; box_load has judged that there is one, or core's start has failed. */
static const struct config_admin_place *core_admin_place(const struct core *c)
{
    const struct config_core *self = config_core_find(&c->box->config, c->box->name);
    REQUIRE(self);
    return &self->admin;
}

void core_admin_start(struct core *c)
{
    c->admin = admin_new(c->loop, ADMIN_CORE, c->box, core_admin_place(c), c->requests, NULL);
}

void core_admin_configure(struct core *c)
{
    admin_configure(c->admin, core_admin_place(c));
}

void core_admin_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    admin_request(c->admin, r, msg);
}

int core_admin_command(int argc, char **argv)
{
    return admin_command(argc, argv, ADMIN_CORE);
}
