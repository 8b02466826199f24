/* The small parts of edge/web, each by itself. */
#include <stdlib.h>
#include <string.h>

#include "common/address_table.h"
#include "common/web_limits.h"
#include "edge/web/page.h"
#include "tests/unit/unit.h"

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

START_TEST(test_address_table)
{
    struct address_table *t = address_table_new(3);
    struct netaddr a = address("192.0.2.1:1"), b = address("192.0.2.2"), c = address("2001:db8::1"),
                   c2 = address("2001:db8::ffff:1"), d = address("2001:db8:0:1::1");
    ck_assert(address_table_add(t, &a, 2));
    a.port = 2;
    ck_assert(address_table_add(t, &a, 2));
    ck_assert(!address_table_add(t, &a, 2));
    ck_assert(address_table_add(t, &b, 2));
    ck_assert(address_table_add(t, &c, 2));
    ck_assert(address_table_add(t, &c2, 2)); /* the same /64 */
    ck_assert(!address_table_add(t, &c, 2));
    ck_assert(!address_table_add(t, &d, 2)); /* a fourth address: full */
    ck_assert_uint_eq(address_table_addresses(t), 3);
    ck_assert_uint_eq(address_table_count(t, &c), 2);
    address_table_remove(t, &c);
    address_table_remove(t, &c2);
    ck_assert(address_table_add(t, &d, 2));
    address_table_remove(t, &a);
    ck_assert_uint_eq(address_table_count(t, &a), 1);
    /* Another size: nobody is forgotten, and it counts for the next. */
    ck_assert_int_eq(address_table_resize(t, 1000), ERR_OK);
    ck_assert_uint_eq(address_table_count(t, &a), 1);
    ck_assert_uint_eq(address_table_addresses(t), 3);
    ck_assert(address_table_add(t, &c, 2));
    ck_assert_int_eq(address_table_resize(t, 1), ERR_OK);
    ck_assert_uint_eq(address_table_count(t, &d), 1);
    address_table_remove(t, &c);
    ck_assert(!address_table_add(t, &c, 2));
    ck_assert(address_table_add(t, &a, 2));
    address_table_free(t);
}
END_TEST

/* Against a plain array of counts: removal must never lose or double an entry. */
START_TEST(test_address_table_random)
{
    enum { ADDRESSES = 500, STEPS = 200000 };
    static unsigned counts[ADDRESSES];
    struct address_table *t = address_table_new(300);
    size_t there = 0;
    srandom(7);
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)random() % ADDRESSES;
        struct netaddr a = {.family = AF_INET, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        if (random() % 2) {
            bool fits = counts[i] < 5 && (counts[i] > 0 || there < 300);
            ck_assert_int_eq(address_table_add(t, &a, 5), fits);
            there += fits && counts[i] == 0;
            counts[i] += fits;
        } else if (counts[i] > 0) {
            address_table_remove(t, &a);
            there -= --counts[i] == 0;
        }
        ck_assert_uint_eq(address_table_count(t, &a), counts[i]);
        ck_assert_uint_eq(address_table_addresses(t), there);
    }
    address_table_free(t);
}
END_TEST

static enum err limits_from(const char *json, struct web_limits *l, char *why, size_t size)
{
    json_t *o = json_loads(json, 0, NULL);
    enum err e = web_limits_from_json(o, l, why, size);
    json_decref(o);
    return e;
}

START_TEST(test_limits)
{
    struct web_limits l;
    char why[128];
    web_limits_default(&l);
    ck_assert_int_eq(l.head_seconds, 15);
    ck_assert_int_eq(limits_from("{\"head_seconds\": 5, \"connections\": 10}", &l, why, sizeof why), ERR_OK);
    ck_assert_int_eq(l.head_seconds, 5);
    ck_assert_int_eq(l.connections, 10);
    ck_assert_int_eq(l.idle_seconds, 75);
    ck_assert_int_eq(limits_from("{\"head_secs\": 5}", &l, why, sizeof why), ERR_CONFIG);
    ck_assert_str_eq(why, "limits: head_secs: unknown key");
    ck_assert_int_eq(limits_from("{\"head_seconds\": 0}", &l, why, sizeof why), ERR_CONFIG);
    ck_assert_str_eq(why, "limits: head_seconds: 1 to 600 is wanted");
    ck_assert_int_eq(limits_from("{\"head_seconds\": \"5\"}", &l, why, sizeof why), ERR_CONFIG);
    ck_assert_int_eq(l.head_seconds, 5); /* unchanged by errors */
    ck_assert_int_eq(web_limits_from_json(NULL, &l, why, sizeof why), ERR_OK);
    ck_assert_int_eq(l.head_seconds, 15);
}
END_TEST

/* Every page is complete, says nothing about versions or inside names, and its length is right. */
START_TEST(test_pages)
{
    for (unsigned status = 400; status < 600; status++) {
        struct http_message m;
        struct buf body;
        http_message_init(&m);
        buf_init(&body, 16 * 1024);
        ck_assert_int_eq(page_make(status, status % 2 ? "no-target" : "<b>", "0123", &m, &body), ERR_OK);
        ck_assert_uint_eq(m.status, status);
        ck_assert_int_eq(m.content_length, (int64_t)buf_len(&body));
        buf_append(&body, "", 1);
        const char *text = (const char *)buf_data(&body);
        ck_assert(strstr(text, "Request 0123") && strstr(text, "</body></html>\n"));
        ck_assert_int_eq(strstr(text, "No web bridge is Active") != NULL, status % 2 == 1);
        ck_assert(!strstr(text, "<b>"));
        ck_assert(!strstr(text, STILE_VERSION) && !strstr(text, "nginx"));
        ck_assert_int_eq(http_message_find(&m, "retry-after").at != NULL,
                         status == 429 || status == 502 || status == 503);
        buf_free(&body);
        http_message_free(&m);
    }
}
END_TEST

UNIT_MAIN("web_parts", test_address_table, test_address_table_random, test_limits, test_pages)
