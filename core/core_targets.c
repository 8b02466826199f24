/*
 * What tunnel workers know of the bridges, and `stile-core dns flush`. After a reload that changes where a
 * domain's bridges are, or what they are verified with, workers keep the ones that they have until the new
 * ones have been found and probed: no request meets an empty list.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/alarms.h"
#include "common/ask.h"
#include "common/log.h"
#include "common/print_json.h"
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

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

struct target_alarms {
    json_t *failed, *unresolved, *none; /* {subject: detail} */
};

/* What is not known yet is no alarm, and keeps its domain from being one. */
static void domain_add_alarms(const json_t *domain, struct target_alarms *out)
{
    const char *host = text_of(domain, "domain"), *reason = "";
    bool usable = false;
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(domain, "targets"), i, row) {
        const char *state = text_of(row, "state"), *address = text_of(row, "address");
        char subject[ALARM_SUBJECT];
        if (strcmp(state, "failed") != 0) {
            usable = true;
            continue;
        }
        reason = text_of(row, "reason");
        snprintf(subject, sizeof subject, *address ? "%s %s port %lld" : "%s %s", host,
                 *address ? address : text_of(row, "name"),
                 (long long)json_integer_value(json_object_get(row, "port")));
        json_object_set_new(*address ? out->failed : out->unresolved, subject, json_string(reason));
    }
    if (!usable && i > 0)
        json_object_set_new(out->none, host, json_string(reason));
}

static void targets_match_alarms(const struct core *c)
{
    struct target_alarms found = {json_object(), json_object(), json_object()};
    json_t *domains = domains_status(c->material.domains), *domain;
    size_t i;
    json_array_foreach (domains, i, domain)
        domain_add_alarms(domain, &found);
    alarm_match(ALARM_TARGET_FAILED, found.failed);
    alarm_match(ALARM_TARGET_UNRESOLVED, found.unresolved);
    alarm_match(ALARM_NO_ACTIVE_TARGET, found.none);
    json_decref(found.failed);
    json_decref(found.unresolved);
    json_decref(found.none);
    json_decref(domains);
}

static void targets_on_change(void *core, size_t domain)
{
    struct core *c = core;
    targets_match_alarms(c);
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
    if (old) /* at the start nothing is known that would end what was wrong before it */
        targets_match_alarms(c);
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
    "dns flush [--dir DIR] [--run-dir DIR] [--json]\n"
    "\n"
    "The running core asks DNS for the web bridges again, whatever the answers' TTLs say, and prints the\n"
    "names that it asks for. Edges are resolved anew at every connection anyway.\n"
    "\n"
    "  --dir DIR      the box's folder (default /etc/stile)\n"
    "  --run-dir DIR  its sockets (default /run/stile for /etc/stile, else DIR/run)\n"
    "  --json         for programs\n";

int core_dns_command(int argc, char **argv)
{
    struct ask a = {.verb = "dns",
                    .word = "flush",
                    .help = dns_help,
                    .socket = BOX_CORE_SOCKET,
                    .patience_ms = 5000,
                    .has_json = true};
    int status;
    size_t i;
    json_t *answer = ask_daemon(argc, argv, &a, &status), *name;
    if (!answer)
        return status;
    status = EXIT_OK;
    if (a.as_json)
        status = print_json(answer);
    else
        json_array_foreach (json_object_get(answer, "names"), i, name)
            printf("asked anew: %s\n", json_string_value(name));
    json_decref(answer);
    return status;
}
