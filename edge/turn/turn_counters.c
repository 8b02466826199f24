#include "edge/turn/turn_counters.h"

static const int error_codes[] = {
#define X(code, reason) code,
    STUN_ERROR_TABLE(X)
#undef X
};
enum { ERROR_CODES = sizeof error_codes / sizeof *error_codes };
_Static_assert((int)ERROR_CODES <= (int)TURN_ERRORS_MAX, "one counter per error code");

void turn_count_error(struct turn_counters *c, int code)
{
    for (size_t i = 0; i < ERROR_CODES; i++)
        if (error_codes[i] == code)
            c->errors[i]++;
}

static json_t *by_method(const uint64_t *counts)
{
    json_t *o = json_object();
#define X(name, number, words) json_object_set_new(o, words, json_integer((json_int_t)counts[number]));
    STUN_METHOD_TABLE(X)
#undef X
    return o;
}

static json_t *by_error(const uint64_t *counts)
{
    json_t *o = json_object();
    size_t i = 0;
#define X(code, reason) json_object_set_new(o, #code, json_integer((json_int_t)counts[i++]));
    STUN_ERROR_TABLE(X)
#undef X
    return o;
}

static json_t *by_drop(const uint64_t *counts)
{
    json_t *o = json_object();
#define X(name, words) json_object_set_new(o, #name, json_integer((json_int_t)counts[TURN_DROP_##name]));
    TURN_DROP_TABLE(X)
#undef X
    return o;
}

static json_t *by_event(const uint64_t *counts)
{
    json_t *o = json_object();
#define X(name, words) json_object_set_new(o, #name, json_integer((json_int_t)counts[TURN_EVENT_##name]));
    TURN_EVENT_TABLE(X)
#undef X
    return o;
}

static json_t *by_transport(const struct turn_traffic *traffic)
{
    json_t *o = json_object();
#define X(name, words)                                                                                       \
    json_object_set_new(o, words,                                                                            \
                        json_pack("{s:I, s:I}", "packets", (json_int_t)traffic[TURN_OVER_##name].packets,    \
                                  "bytes", (json_int_t)traffic[TURN_OVER_##name].bytes));
    TURN_TRANSPORT_TABLE(X)
#undef X
    return o;
}

json_t *turn_counters_json(const struct turn_counters *c)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "requests", by_method(c->requests), "successes",
                     by_method(c->successes), "errors", by_error(c->errors), "drops", by_drop(c->drops),
                     "events", by_event(c->events), "from_clients", by_transport(c->from_clients),
                     "to_clients", by_transport(c->to_clients));
}
