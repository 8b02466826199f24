/* Which bridge a request goes to: state, priority, weight, turns, and those that just failed. */
#include "core/egress/target_set.h"

#include "tests/unit/unit.h"

static struct target_set set;

static void add(json_t *rows, const char *address, int port, int priority, int weight, const char *state)
{
    json_array_append_new(rows, json_pack("{ss ss si si si ss}", "name", "b", "address", address, "port",
                                          port, "priority", priority, "weight", weight, "state", state));
}

static void use(json_t *rows)
{
    target_set_update(&set, rows);
    json_array_clear(rows);
}

static size_t count(void)
{
    struct target *t;
    size_t n = 0;
    TAILQ_FOREACH (t, &set.all, next) {
        n++;
    }
    return n;
}

/* How often each of the ports 1..n is chosen in `times` choices. */
static void tally(unsigned *hits, size_t n, unsigned times, double now)
{
    for (size_t i = 0; i <= n; i++)
        hits[i] = 0;
    for (unsigned i = 0; i < times; i++) {
        struct target *t = target_set_choose(&set, NULL, 0, now);
        hits[t ? t->addr.port : 0]++;
    }
}

START_TEST(test_choice)
{
    unsigned hits[8];
    json_t *rows = json_array();
    target_set_init(&set, NULL);
    ck_assert_ptr_null(target_set_choose(&set, NULL, 0, 0));
    /* Equal weights: in turn. */
    add(rows, "192.0.2.1", 1, 10, 0, "active");
    add(rows, "192.0.2.1", 2, 10, 0, "active");
    add(rows, "2001:db8::1", 3, 10, 0, "active");
    add(rows, "192.0.2.1", 4, 20, 100, "active");
    add(rows, "192.0.2.1", 5, 0, 100, "failed");
    add(rows, "192.0.2.1", 6, 0, 100, "unknown");
    use(rows);
    tally(hits, 6, 30, 0);
    ck_assert(hits[1] == 10 && hits[2] == 10 && hits[3] == 10);
    /* By weight; 0 gets next to nothing beside others. */
    add(rows, "192.0.2.1", 1, 10, 60, "active");
    add(rows, "192.0.2.1", 2, 10, 20, "active");
    add(rows, "2001:db8::1", 3, 10, 0, "active");
    use(rows);
    tally(hits, 6, 8001, 0);
    ck_assert(hits[1] >= 5990 && hits[1] <= 6010 && hits[2] >= 1990 && hits[2] <= 2010);
    ck_assert(hits[3] >= 1 && hits[3] <= 3);
    json_decref(rows);
    target_set_free(&set);
}
END_TEST

START_TEST(test_tried_and_suspect)
{
    json_t *rows = json_array();
    target_set_init(&set, NULL);
    add(rows, "192.0.2.1", 1, 1, 0, "active");
    add(rows, "192.0.2.1", 2, 2, 0, "active");
    use(rows);
    struct target *first = target_set_choose(&set, NULL, 0, 0);
    ck_assert_uint_eq(first->addr.port, 1);
    struct target *second = target_set_choose(&set, &first->id, 1, 0);
    ck_assert_uint_eq(second->addr.port, 2);
    uint32_t both[] = {first->id, second->id};
    ck_assert_ptr_null(target_set_choose(&set, both, 2, 0));
    /* A suspect is the last resort, however good its priority. */
    first->suspect_until = 5;
    ck_assert_ptr_eq(target_set_choose(&set, NULL, 0, 4), second);
    ck_assert_ptr_eq(target_set_choose(&set, &second->id, 1, 4), first);
    ck_assert_ptr_eq(target_set_choose(&set, NULL, 0, 5), first);
    json_decref(rows);
    target_set_free(&set);
}
END_TEST

START_TEST(test_update)
{
    json_t *rows = json_array();
    target_set_init(&set, NULL);
    add(rows, "192.0.2.1", 443, 5, 0, "active");
    add(rows, "192.0.2.1", 443, 1, 0, "active"); /* a second name for it: the better one counts */
    add(rows, "192.0.2.1", 443, 9, 0, "failed");
    add(rows, "", 443, 0, 0, "failed"); /* a name that does not resolve */
    add(rows, "nonsense", 443, 0, 0, "active");
    add(rows, "192.0.2.2", 0, 0, 0, "active");
    json_array_append_new(rows, json_string("nonsense"));
    use(rows);
    ck_assert_uint_eq(count(), 1);
    struct target *t = target_set_choose(&set, NULL, 0, 0);
    ck_assert_uint_eq(t->priority, 1);
    ck_assert_str_eq(t->text, "192.0.2.1:443");
    /* Gone, but connected: it stays until the connection ends. The same address is the same target. */
    t->n_connections = 1;
    use(rows);
    target_set_prune(&set);
    ck_assert_uint_eq(count(), 1);
    ck_assert_ptr_null(target_set_choose(&set, NULL, 0, 0));
    add(rows, "192.0.2.1", 443, 3, 0, "active");
    use(rows);
    ck_assert_ptr_eq(target_set_choose(&set, NULL, 0, 0), t);
    t->n_connections = 0;
    use(rows);
    target_set_prune(&set);
    ck_assert_uint_eq(count(), 0);
    json_decref(rows);
    target_set_free(&set);
}
END_TEST

UNIT_MAIN("target_set", test_choice, test_tried_and_suspect, test_update)
