/*
 * What tunnel workers know of the bridges, and `stile-core dns flush`. After a reload that changes where a
 * domain's bridges are, or what they are verified with, workers keep the ones that they have until the new
 * ones have been found and probed: no request meets an empty list.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/ask.h"
#include "common/log.h"
#include "common/verb.h"
#include "core/core.h"

static const double unknown_patience = 5; /* seconds for changed ones to be known */

/* True when one can be used and nothing more is to be learned of the others soon. */
static bool targets_are_known(const json_t *rows)
{
    bool active = false, unknown = false;
    size_t i;
    json_t *row;
    json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
        const char *state = json_string_value(json_object_get(row, "state"));
        active |= state && strcmp(state, "active") == 0;
        unknown |= state && strcmp(state, "unknown") == 0;
    }
    return active && !unknown;
}

static void targets_take_effect(struct core *c, size_t domain)
{
    bool replaced = domains_first_use(c->material.domains, domain);
    if (c->unknown[domain] && replaced) /* a domain without a bridge is unknown also when it stayed */
        log_event(LOG_NOTICE, "Targets Replaced", "revision=%ld domain=%s", c->box->config.revision,
                  config_domain_at(&c->box->config, domain).host);
    c->unknown[domain] = false;
    core_tunnels_tell_targets(c, domain);
}

static bool domain_is_known(const struct core *c, size_t domain)
{
    json_t *msg = domains_targets(c->material.domains, domain);
    bool known = targets_are_known(json_object_get(msg, "targets"));
    json_decref(msg);
    return known;
}

static void targets_on_change(void *core, size_t domain)
{
    struct core *c = core;
    if (!c->unknown[domain] || domain_is_known(c, domain))
        targets_take_effect(c, domain);
}

const struct domains_events core_domains_events = {targets_on_change};

static void targets_on_patience(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct core *c = timer->data;
    (void)loop, (void)revents;
    for (size_t i = 0; i < domains_count(c->material.domains); i++)
        if (c->unknown[i])
            targets_take_effect(c, i);
}

void core_targets_replace(struct core *c, struct domains *old)
{
    struct domains *domains = c->material.domains;
    if (old)
        domains_take_over(domains, old);
    for (size_t i = 0; i < domains_count(domains); i++) {
        c->unknown[i] = old && !domain_is_known(c, i);
        if (!old)
            (void)domains_first_use(domains, i);
        if (old && !c->unknown[i])
            core_tunnels_tell_targets(c, i); /* its place in the list may be another */
    }
    domains_start(domains);
    ev_timer_stop(c->loop, &c->patience);
    ev_timer_set(&c->patience, unknown_patience, 0);
    ev_timer_start(c->loop, &c->patience);
}

void core_targets_init(struct core *c)
{
    ev_timer_init(&c->patience, targets_on_patience, unknown_patience, 0);
    c->patience.data = c;
}

void core_targets_stop(struct core *c)
{
    ev_timer_stop(c->loop, &c->patience);
}

/* dns flush ---------------------------------------------------------------------------------------------- */

void core_dns_request(void *core, struct request *r, const json_t *msg)
{
    struct core *c = core;
    (void)msg;
    domains_flush(c->material.domains);
    log_event(LOG_NOTICE, "DNS Asked Anew", "by=\"stile-core dns flush\"");
    request_answer(r, json_pack("{ss so}", "type", "dns", "names", domains_names(c->material.domains)));
}

static const char dns_help[] =
    "dns [--dir DIR] [--run-dir DIR] flush\n"
    "\n"
    "The running core asks DNS for the web bridges again, whatever the answers' TTLs say, and prints the\n"
    "names that it asks for. Edges are resolved anew at every connection anyway.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n";

int core_dns_command(int argc, char **argv)
{
    struct ask a = {
        .verb = "dns", .word = "flush", .help = dns_help, .socket = BOX_CORE_SOCKET, .patience_ms = 5000};
    int status;
    size_t i;
    json_t *answer = ask_daemon(argc, argv, &a, &status), *name;
    if (!answer)
        return status;
    json_array_foreach (json_object_get(answer, "names"), i, name)
        printf("asked anew: %s\n", json_string_value(name));
    json_decref(answer);
    return EXIT_OK;
}
