#include "edge/turn/turn_admission.h"

#include <stdlib.h>

#include "common/address_table.h"

struct turn_admission {
    const struct turn_config *config;
    struct address_table *clients, *shaking; /* by address */
    size_t n, most, n_handshakes, n_unproven;
    TAILQ_HEAD(, turn_pass) unproven; /* oldest first */
};

struct turn_admission *turn_admission_new(const struct turn_config *config, size_t most)
{
    struct turn_admission *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->config = config;
    a->most = most;
    TAILQ_INIT(&a->unproven);
    a->clients = address_table_new(most);
    a->shaking = address_table_new(config->handshakes_max);
    if (a->clients && a->shaking)
        return a;
    turn_admission_free(a);
    return NULL;
}

void turn_admission_free(struct turn_admission *a)
{
    if (!a)
        return;
    address_table_free(a->clients);
    address_table_free(a->shaking);
    free(a);
}

bool turn_admission_enter(struct turn_admission *a, const struct netaddr *client, struct turn_pass *pass)
{
    struct turn_pass p = {.address = *client, .inside = true};
    p.by_address = a->config->address_connections_max && !turn_config_is_bridge(a->config, client);
    if (a->n >= a->most)
        return false;
    if (p.by_address && !address_table_add(a->clients, client, a->config->address_connections_max))
        return false;
    a->n++;
    *pass = p;
    return true;
}

bool turn_admission_handshake(struct turn_admission *a, struct turn_pass *pass)
{
    bool by_address = pass->by_address;
    if (a->n_handshakes >= a->config->handshakes_max)
        return false;
    if (by_address && !address_table_add(a->shaking, &pass->address, a->config->address_handshakes_max))
        return false;
    a->n_handshakes++;
    pass->handshaking = true;
    pass->address_handshakes = by_address;
    return true;
}

void turn_admission_handshake_done(struct turn_admission *a, struct turn_pass *pass)
{
    if (!pass->handshaking)
        return;
    if (pass->address_handshakes)
        address_table_remove(a->shaking, &pass->address);
    a->n_handshakes--;
    pass->handshaking = pass->address_handshakes = false;
}

void turn_admission_proven(struct turn_admission *a, struct turn_pass *pass, bool is)
{
    if (!pass->end || pass->unproven == !is)
        return;
    if (is)
        TAILQ_REMOVE(&a->unproven, pass, link);
    else
        TAILQ_INSERT_TAIL(&a->unproven, pass, link);
    a->n_unproven += is ? (size_t)-1 : 1;
    pass->unproven = !is;
}

void turn_admission_unproven(struct turn_admission *a, struct turn_pass *pass,
                             void (*end)(struct turn_pass *pass))
{
    pass->end = end;
    turn_admission_proven(a, pass, false);
    while (a->n_unproven > a->config->unproven_max && TAILQ_FIRST(&a->unproven) != pass) {
        struct turn_pass *oldest = TAILQ_FIRST(&a->unproven);
        oldest->end(oldest);
    }
}

void turn_admission_leave(struct turn_admission *a, struct turn_pass *pass)
{
    turn_admission_handshake_done(a, pass);
    turn_admission_proven(a, pass, true);
    if (pass->by_address)
        address_table_remove(a->clients, &pass->address);
    if (pass->inside)
        a->n--;
    *pass = (struct turn_pass){0};
}

size_t turn_admission_count(const struct turn_admission *a)
{
    return a->n;
}

size_t turn_admission_handshakes(const struct turn_admission *a)
{
    return a->n_handshakes;
}
