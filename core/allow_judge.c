#include "core/allow_judge.h"

#include "core/core.h"
#include "proto/allowlist_csv.h"

/* The join host whose bridges serve what a rule allows. */
static const char *domain_of(const struct policy *p, const struct config *c, size_t rule)
{
    return config_domain_at(c, p->domains[rule]).host;
}

json_t *allow_rules(const struct policy *p, const struct config *c)
{
    json_t *rules = allowlist_to_json(&p->list), *rule;
    size_t i;
    json_array_foreach (rules, i, rule) {
        json_object_set_new(rule, "rule", json_integer((json_int_t)i + 1));
        json_object_set_new(rule, "source", json_string(i < p->automatic ? "automatic" : "config"));
        json_object_set_new(rule, "domain", json_string(domain_of(p, c, i)));
    }
    return rules;
}

json_t *allow_verdict(const struct policy *p, const struct config *c, const char *url, const char *method)
{
    struct allowlist_verdict v;
    allowlist_judge_url(&p->list, url, method, &v);
    if (!v.rule)
        return json_pack("{sb so sI}", "allowed", 0, "text", json_sprintf("%s (a guest gets %u)", v.why, v.status),
                         "status", (json_int_t)v.status);
    size_t rule = (size_t)(v.rule - p->list.rules);
    return json_pack("{sb so sI}", "allowed", 1, "text",
                     json_sprintf("rule %zu \"%s\" (%s, %s %s), to the bridges of %s", rule + 1, v.rule->description,
                                  v.rule->websocket ? "wss" : "https", v.rule->exact ? "exact" : "prefix",
                                  v.rule->path, domain_of(p, c, rule)),
                     "rule", (json_int_t)rule + 1);
}

/* Asked of a running core: its config's rules, which are those in force. */

void core_allow_list_request(void *core, struct request *r, const json_t *msg)
{
    const struct config *config = &((const struct core *)core)->box->config;
    char why[SCHEMA_WHY];
    struct policy policy;
    (void)msg;
    if (policy_make(config, &policy, why, sizeof why) != ERR_OK) {
        request_refuse(r, why);
        return;
    }
    request_answer(r, json_pack("{ss so}", "type", "allow_list", "items", allow_rules(&policy, config)));
    policy_free(&policy);
}

void core_allow_test_request(void *core, struct request *r, const json_t *msg)
{
    const struct config *config = &((const struct core *)core)->box->config;
    const char *url = json_string_value(json_object_get(msg, "url")),
               *method = json_string_value(json_object_get(msg, "method"));
    char why[SCHEMA_WHY];
    struct policy policy;
    if (!url) {
        request_refuse(r, "url: what a guest would ask for is wanted");
        return;
    }
    if (policy_make(config, &policy, why, sizeof why) != ERR_OK) {
        request_refuse(r, why);
        return;
    }
    json_t *answer = allow_verdict(&policy, config, url, method ? method : "GET");
    json_object_set_new(answer, "type", json_string("allow_test"));
    request_answer(r, answer);
    policy_free(&policy);
}
