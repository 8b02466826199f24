/* The admin service of the edge: common/admin does the work. It shows the first certificate that guests see.
 */
#include "common/admin/admin_command.h"
#include "edge/edge.h"

static const char *edge_admin_pem(const struct edge *e)
{
    return e->certificate.set.n > 0 ? e->certificate.set.all[0].pem : NULL;
}

void edge_admin_start(struct edge *e)
{
    e->admin = admin_new(e->loop, ADMIN_EDGE, e->box, &e->self->admin, e->requests, edge_admin_pem(e));
}

void edge_admin_configure(struct edge *e)
{
    if (e->admin)
        admin_configure(e->admin, &e->self->admin);
}

void edge_admin_certificate(struct edge *e)
{
    if (e->admin)
        admin_set_certificate(e->admin, edge_admin_pem(e));
}

void edge_admin_request(void *edge, struct request *r, const json_t *msg)
{
    struct edge *e = edge;
    admin_request(e->admin, r, msg);
}

int edge_admin_command(int argc, char **argv)
{
    return admin_command(argc, argv, ADMIN_EDGE);
}
