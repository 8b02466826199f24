#include "edge/edge_usage.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/table.h"

static json_int_t number(const json_t *o, const char *key)
{
    return json_integer_value(json_object_get(o, key));
}

static void add(json_t *o, const char *key, json_int_t n)
{
    json_object_set_new(o, key, json_integer(number(o, key) + n));
}

static json_int_t sum_of(const json_t *counts)
{
    json_int_t sum = 0;
    const char *key;
    json_t *n;
    json_object_foreach ((json_t *)(uintptr_t)counts, key, n)
        sum += json_integer_value(n);
    return sum;
}

static int by_relays(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    json_int_t l = number(left, "relays"), r = number(right, "relays");
    return l < r ? 1 : l > r ? -1 : 0;
}

/* The values of an object, most relays first. */
static json_t *sorted(const json_t *users)
{
    size_t n = 0, most = json_object_size(users);
    json_t **rows = calloc(most + 1, sizeof(*rows)), *list = json_array(), *user;
    const char *name;
    json_object_foreach ((json_t *)(uintptr_t)users, name, user)
        if (rows && n < most)
            rows[n++] = user;
    if (rows)
        qsort(rows, n, sizeof(*rows), by_relays);
    for (size_t i = 0; i < n; i++)
        json_array_append(list, rows[i]);
    free(rows);
    return list;
}

/* Adds what one worker has of users to those in `users`, by name. */
static void add_users(json_t *users, const json_t *worker, json_int_t limit)
{
    size_t i;
    json_t *row;
    json_array_foreach (json_object_get(worker, "users"), i, row) {
        const char *name = json_string_value(json_object_get(row, "user"));
        if (!name)
            continue;
        json_t *user = json_object_get(users, name);
        if (!user) {
            user = json_pack("{ss sI}", "user", name, "limit", (json_int_t)limit);
            json_object_set_new(users, name, user);
        }
        add(user, "relays", number(row, "relays"));
    }
}

json_t *edge_usage(const json_t *workers)
{
    json_t *usage = json_object(), *users = json_object(), *worker, *address;
    const json_t *first = json_array_get(workers, 0), *quota = json_object_get(first, "quota");
    size_t i, k;
    add(usage, "relays_limit", number(quota, "total"));
    add(usage, "user_limit", number(quota, "user"));
    add(usage, "address_limit", number(quota, "address"));
    add(usage, "ports", 0);
    add(usage, "ports_used", 0);
    json_array_foreach (json_object_get(first, "ports"), k, address) { /* all workers see the same */
        add(usage, "ports", number(address, "all"));
        add(usage, "ports_used", number(address, "used"));
    }
    json_array_foreach ((json_t *)(uintptr_t)workers, i, worker) {
        const json_t *counters = json_object_get(worker, "counters");
        add(usage, "relays", number(worker, "allocations"));
        add(usage, "connections", number(worker, "connections"));
        add(usage, "relays_left_out", number(worker, "relays_left_out"));
        add(usage, "users_left_out", number(worker, "users_left_out"));
        add(usage, "refused", sum_of(json_object_get(counters, "limits")));
        add(usage, "dropped", sum_of(json_object_get(counters, "drops")));
        add_users(users, worker, number(quota, "user"));
    }
    json_object_set_new(usage, "users", sorted(users));
    json_decref(users);
    return usage;
}

void edge_usage_print(const json_t *usage)
{
    static const struct table_column columns[] = {
        {"User", "user", TABLE_TEXT}, {"Relays", "relays", TABLE_TEXT}, {"Limit", "limit", TABLE_LIMIT}, {0}};
    char limit[32];
    json_int_t most = number(usage, "relays_limit");
    snprintf(limit, sizeof limit, most ? " of %lld" : "", (long long)most);
    printf(
        "\nTURN: %lld%s relays, %lld of %lld relay ports in use, %lld connections; refused at a limit: %lld "
        "requests, dropped: %lld packets\n",
        (long long)number(usage, "relays"), limit, (long long)number(usage, "ports_used"),
        (long long)number(usage, "ports"), (long long)number(usage, "connections"),
        (long long)number(usage, "refused"), (long long)number(usage, "dropped"));
    if (json_array_size(json_object_get(usage, "users")))
        table_print(stdout, "TURN users", columns, json_object_get(usage, "users"), "");
    if (number(usage, "users_left_out"))
        printf("  and more users, counted above, not listed\n");
}
