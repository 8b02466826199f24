/* What status says of limits: counts of all workers, users merged by name. */
#include "edge/edge_usage.h"

#include <stdio.h>

#include "edge/turn/turn_status.h"
#include "proto/stun_ephemeral.h"
#include "tests/unit/turn_fixture.h"

static json_int_t number(const json_t *o, const char *key)
{
    ck_assert_msg(json_is_integer(json_object_get(o, key)), "%s", key);
    return json_integer_value(json_object_get(o, key));
}

START_TEST(test_workers_are_added)
{
    json_t *workers = json_loads(
        "[{\"allocations\":5,\"connections\":1,\"relays_left_out\":2,\"users_left_out\":0,"
        "\"users\":[{\"user\":\"a\",\"relays\":2},{\"user\":\"b\",\"relays\":3}],"
        "\"quota\":{\"total\":100,\"user\":10,\"address\":0},"
        "\"ports\":[{\"address\":\"192.0.2.1\",\"all\":6000,\"used\":9},{\"address\":\"::1\",\"all\":6000,"
        "\"used\":0}],"
        "\"counters\":{\"drops\":{\"x\":1,\"y\":2},\"limits\":{\"user\":7}}},"
        "{\"allocations\":4,\"connections\":0,\"relays_left_out\":1,\"users_left_out\":3,"
        "\"users\":[{\"user\":\"a\",\"relays\":4}],\"quota\":{\"total\":100,\"user\":10,\"address\":0},"
        "\"ports\":[{\"address\":\"192.0.2.1\",\"all\":6000,\"used\":9}],"
        "\"counters\":{\"drops\":{\"x\":4},\"limits\":{\"user\":1}}}]",
        0, NULL);
    ck_assert_ptr_nonnull(workers);
    json_t *usage = edge_usage(workers), *users = json_object_get(usage, "users");
    ck_assert_int_eq(number(usage, "relays"), 9);
    ck_assert_int_eq(number(usage, "relays_limit"), 100);
    ck_assert_int_eq(number(usage, "ports"), 12000);
    ck_assert_int_eq(number(usage, "ports_used"), 9); /* they share them */
    ck_assert_int_eq(number(usage, "relays_left_out"), 3);
    ck_assert_int_eq(number(usage, "users_left_out"), 3);
    ck_assert_int_eq(number(usage, "refused"), 8);
    ck_assert_int_eq(number(usage, "dropped"), 7);
    ck_assert_uint_eq(json_array_size(users), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(users, 0), "user")), "a");
    ck_assert_int_eq(number(json_array_get(users, 0), "relays"), 6);
    ck_assert_int_eq(number(json_array_get(users, 0), "limit"), 10);
    json_decref(usage);
    json_decref(workers);
}
END_TEST

START_TEST(test_no_worker_answered)
{
    json_t *none = json_array(), *usage = edge_usage(none);
    ck_assert_int_eq(number(usage, "ports"), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(usage, "users")), 0);
    json_decref(usage);
    json_decref(none);
}
END_TEST

/* A name that is no UTF-8 hides nobody. */
START_TEST(test_a_name_that_is_no_text)
{
    static struct fixture f;
    char name[] = "1700000060:m\xff\xfell", password[STUN_EPHEMERAL_PASSWORD + 1];
    fixture_start(&f, "\"shared_secrets\":[\"north\"]");
    stun_ephemeral_password("north", name, strlen(name), password);
    f.user = name;
    f.password = password;
    ck_assert_int_eq(fixture_allocate(&f), 0);
    struct turn_admission *admission = turn_admission_new(&f.server->config, 100);
    json_t *status = turn_status_json(f.server, admission, 2000), *usage, *workers = json_array();
    const json_t *relay = json_array_get(json_object_get(status, "relays"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(relay, "user")), "\"m\\xff\\xfell\"");
    json_array_append_new(workers, status);
    usage = edge_usage(workers);
    ck_assert_uint_eq(json_array_size(json_object_get(usage, "users")), 1);
    json_decref(usage);
    json_decref(workers);
    turn_admission_free(admission);
    fixture_stop(&f);
}
END_TEST

/* However many relays there are and however much each holds, the answer stays well below what a message may
 * have, and says what is left out. */
START_TEST(test_very_many_relays)
{
    static struct fixture f;
    fixture_start(&f, "\"relay_ports\":[20000,29999]");
    for (unsigned i = 0; i < 2500; i++) {
        char client[40];
        snprintf(client, sizeof client, "192.0.2.%u:%u", i / 250, 5000 + i % 250);
        fixture_client(&f, client);
        ck_assert_int_eq(fixture_allocate(&f), 0);
        for (unsigned k = 0; k < (i < 200 ? 60 : 2); k++) {
            char peer[40];
            snprintf(peer, sizeof peer, "198.51.100.%u:%u", k + 1, 2000 + k);
            ck_assert_int_eq(fixture_bind(&f, (uint16_t)(0x4000 + k), peer), 0);
        }
    }
    struct turn_admission *admission = turn_admission_new(&f.server->config, 100);
    json_t *status = turn_status_json(f.server, admission, 2000);
    ck_assert_uint_eq(json_array_size(json_object_get(status, "relays")), 2000);
    ck_assert_int_eq(number(status, "relays_left_out"), 500);
    ck_assert_int_eq(number(status, "allocations"), 2500);
    ck_assert_int_eq(number(json_array_get(json_object_get(status, "users"), 0), "relays"), 2500);
    char *text = json_dumps(status, JSON_COMPACT);
    ck_assert_uint_lt(strlen(text), 4 * 1024 * 1024);
    free(text);
    json_decref(status);
    turn_admission_free(admission);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("edge_usage", test_workers_are_added, test_no_worker_answered, test_very_many_relays,
          test_a_name_that_is_no_text)
