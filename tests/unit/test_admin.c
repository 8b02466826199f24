/* The admin service without its processes: routes and arguments, sessions, the limiter with a clock of the
 * test's own, passwords, the book, credentials. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/admin/admin_book.h"
#include "common/admin/admin_credentials.h"
#include "common/admin/admin_limiter.h"
#include "common/admin/admin_server.h"
#include "common/schema.h"
#include "proto/http_message.h"
#include "tests/unit/unit.h"

/* Routes ---------------------------------------------------------------------------------------------------
 */

static enum err find(const char *method, const char *path, json_t *args, const struct admin_route **r,
                     char allow[64])
{
    return admin_route_find(ADMIN_EDGE, method, strlen(method), path, strlen(path), args, r, allow);
}

START_TEST(test_routes)
{
    const struct admin_route *r = NULL;
    json_t *args = json_object();
    char allow[64];
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/2001%3Adb8::1", args, &r, allow), ERR_OK);
    ck_assert_str_eq(json_string_value(json_object_get(args, "address")), "2001:db8::1");
    ck_assert_int_eq(find("PATCH", "/api/v1/bans", args, &r, allow), ERR_UNSUPPORTED);
    ck_assert_str_eq(allow, "GET, POST");
    ck_assert_int_eq(find("GET", "/api/v1/nothing", args, &r, allow), ERR_NOT_FOUND);
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/", args, &r, allow), ERR_NOT_FOUND);
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/a/b", args, &r, allow), ERR_NOT_FOUND);
    ck_assert_int_eq(find("POST", "/api/v1/dns/flush", args, &r, allow), ERR_NOT_FOUND); /* core's */
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/%", args, &r, allow), ERR_MALFORMED);
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/%4", args, &r, allow), ERR_MALFORMED);
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/%00", args, &r, allow), ERR_MALFORMED);
    ck_assert_int_eq(find("DELETE", "/api/v1/bans/%ff", args, &r, allow), ERR_MALFORMED);
    json_decref(args);
}
END_TEST

/* Every row is found by its own path, and its answer is described. */
START_TEST(test_every_route)
{
    json_t *api = admin_openapi(ADMIN_CORE);
    const json_t *schemas = json_object_get(json_object_get(api, "components"), "schemas");
    ck_assert(json_is_object(schemas));
    for (const struct admin_route *r = admin_routes; r->method; r++) {
        const struct admin_route *found = NULL;
        char allow[64];
        json_t *args = json_object();
        enum admin_box box = r->boxes & ADMIN_EDGE ? ADMIN_EDGE : ADMIN_CORE;
        ck_assert_int_eq(admin_route_find(box, r->method, strlen(r->method), r->path, strlen(r->path), args,
                                          &found, allow),
                         ERR_OK);
        ck_assert_ptr_eq(found, r);
        ck_assert_ptr_eq(admin_route_at((json_int_t)admin_route_index(r), box), r);
        ck_assert_msg(json_object_get(schemas, r->schema) != NULL, "%s is not described", r->schema);
        ck_assert(strcmp(r->method, "GET") == 0 || r->role != ADMIN_ANYONE || strcmp(r->word, "login") == 0);
        json_decref(args);
    }
    ck_assert_ptr_null(admin_route_at(-1, ADMIN_CORE));
    ck_assert_ptr_null(admin_route_at(100000, ADMIN_CORE));
    json_decref(api);
}
END_TEST

START_TEST(test_arguments)
{
    const struct admin_route *r = NULL;
    char allow[64], why[200];
    json_t *args = json_object();
    ck_assert_int_eq(find("GET", "/api/v1/events", args, &r, allow), ERR_OK);
    ck_assert_int_eq(admin_route_query(r, "limit=5&text=a+b%21", 19, args, why, sizeof why), ERR_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(args, "limit")), 5);
    ck_assert_str_eq(json_string_value(json_object_get(args, "text")), "a b!");
    ck_assert_int_eq(admin_route_query(r, "limit=6", 7, args, why, sizeof why), ERR_MALFORMED);
    ck_assert_int_eq(admin_route_query(r, "after=x", 7, args, why, sizeof why), ERR_MALFORMED);
    ck_assert_int_eq(admin_route_query(r, "other=1", 7, args, why, sizeof why), ERR_MALFORMED);
    json_object_clear(args);
    ck_assert_int_eq(find("POST", "/api/v1/bans", args, &r, allow), ERR_OK);
    ck_assert_int_eq(admin_route_judge(r, args, why, sizeof why), ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(why, "address"));
    json_object_set_new(args, "address", json_string("192.0.2.1"));
    json_object_set_new(args, "seconds", json_string("60"));
    ck_assert_int_eq(admin_route_judge(r, args, why, sizeof why), ERR_MALFORMED);
    json_object_set_new(args, "seconds", json_integer(60));
    ck_assert_int_eq(admin_route_judge(r, args, why, sizeof why), ERR_OK);
    json_object_set_new(args, "by", json_string("root")); /* main's own */
    ck_assert_int_eq(admin_route_judge(r, args, why, sizeof why), ERR_MALFORMED);
    json_decref(args);
}
END_TEST

/* Sessions -------------------------------------------------------------------------------------------------
 */

START_TEST(test_sessions)
{
    struct admin_sessions *s = admin_sessions_new();
    char a[ADMIN_TOKEN_TEXT], b[ADMIN_TOKEN_TEXT], csrf[ADMIN_TOKEN_TEXT];
    enum admin_role role = ADMIN_ANYONE;
    admin_sessions_begin(s, "ann", ADMIN_WRITER, 100, a);
    admin_sessions_begin(s, "ann", ADMIN_READER, 100, b);
    ck_assert_str_ne(a, b);
    ck_assert_str_eq(admin_sessions_find(s, a, true, 200, &role), "ann");
    ck_assert_int_eq(role, ADMIN_WRITER);
    ck_assert_ptr_null(admin_sessions_find(s, "guess", true, 200, &role));
    ck_assert_ptr_null(admin_sessions_find(s, "", true, 200, &role));
    admin_csrf_of(a, csrf);
    ck_assert(admin_csrf_right(a, csrf) && !admin_csrf_right(b, csrf) && !admin_csrf_right(a, ""));
    /* Idle: b was not used, a was; looking on does not count. */
    ck_assert_ptr_nonnull(admin_sessions_find(s, b, false, 1899, &role));
    ck_assert_ptr_null(admin_sessions_find(s, b, false, 1900, &role));
    ck_assert_ptr_nonnull(admin_sessions_find(s, a, true, 1950, &role));
    /* As a whole. */
    for (double t = 2000; t < 43300; t += 1000)
        (void)admin_sessions_find(s, a, true, t, &role);
    ck_assert_ptr_null(admin_sessions_find(s, a, true, 43301, &role));
    admin_sessions_begin(s, "ann", ADMIN_WRITER, 0, a);
    admin_sessions_begin(s, "bob", ADMIN_WRITER, 0, b);
    admin_sessions_end_user(s, "ANN", NULL);
    ck_assert_ptr_null(admin_sessions_find(s, a, true, 1, &role));
    ck_assert_ptr_nonnull(admin_sessions_find(s, b, true, 1, &role));
    admin_sessions_end(s, b);
    ck_assert_uint_eq(admin_sessions_count(s, NULL, 1), 0);
    admin_sessions_free(s);
}
END_TEST

START_TEST(test_sessions_bounded)
{
    struct admin_sessions *s = admin_sessions_new();
    char first[ADMIN_TOKEN_TEXT], token[ADMIN_TOKEN_TEXT], name[16];
    enum admin_role role;
    admin_sessions_begin(s, "ann", ADMIN_READER, 0, first);
    for (int i = 1; i <= ADMIN_SESSIONS_PER_USER; i++)
        admin_sessions_begin(s, "ann", ADMIN_READER, i, token);
    ck_assert_uint_eq(admin_sessions_count(s, "ann", 20), ADMIN_SESSIONS_PER_USER);
    ck_assert_ptr_null(admin_sessions_find(s, first, true, 20, &role));
    for (int i = 0; i < 2 * ADMIN_SESSIONS; i++) {
        snprintf(name, sizeof name, "u%d", i);
        admin_sessions_begin(s, name, ADMIN_READER, 30, token);
    }
    ck_assert_uint_eq(admin_sessions_count(s, NULL, 30), ADMIN_SESSIONS);
    admin_sessions_free(s);
}
END_TEST

/* The limiter ----------------------------------------------------------------------------------------------
 */

static struct netaddr ip(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

START_TEST(test_limiter)
{
    struct admin_limiter *l = admin_limiter_new();
    struct netaddr a = ip("192.0.2.1"), b = ip("192.0.2.2"), c = ip("2001:db8::1"), d = ip("2001:db8::2");
    for (int i = 0; i < ADMIN_LIMIT_ADDRESS; i++)
        ck_assert(admin_limiter_take(l, &a, "ann", 1000) <= 0);
    ck_assert(admin_limiter_take(l, &a, "bob", 1000) > 0);
    ck_assert(admin_limiter_take(l, &a, "bob", 1000 + ADMIN_LIMIT_ADDRESS_SECONDS) <= 0);
    /* The user as well, from wherever; one /64 is one address. */
    for (int i = 0; i < ADMIN_LIMIT_USER - ADMIN_LIMIT_ADDRESS; i++)
        ck_assert(admin_limiter_take(l, i & 1 ? &c : &d, "ann", 1000) <= 0);
    ck_assert(admin_limiter_take(l, &c, "carl", 1000) > 0);
    for (int i = 0; i < ADMIN_LIMIT_OWN; i++)
        ck_assert(admin_limiter_take(l, &b, "Ann", 1000) <= 0); /* its own, */
    ck_assert(admin_limiter_take(l, &b, "Ann", 1000) > 0);      /* and no more */
    ck_assert(admin_limiter_take(l, &b, "carl", 1000) <= 0);
    admin_limiter_free(l);
}
END_TEST

/* Others who guess do not keep her out from where she has been. */
START_TEST(test_limiter_trust)
{
    struct admin_limiter *l = admin_limiter_new();
    struct netaddr home = ip("192.0.2.1");
    ck_assert(admin_limiter_take(l, &home, "ann", 1000) <= 0);
    ck_assert(admin_limiter_succeeded(l, &home, "ann"));
    for (unsigned i = 0; i < 100; i++) {
        struct netaddr other = ip("198.51.100.1");
        other.ip[3] = (uint8_t)i;
        (void)admin_limiter_take(l, &other, "ann", 1001);
    }
    struct netaddr other = ip("203.0.113.1"), near = ip("2001:db8:0:1::1"), too = ip("2001:db8:0:2::1");
    ck_assert(admin_limiter_take(l, &other, "ann", 1001) <= 0);
    ck_assert(admin_limiter_take(l, &near, "ann", 1001) <= 0);
    ck_assert(admin_limiter_take(l, &too, "ann", 1001) <= 0);
    ck_assert(admin_limiter_take(l, &near, "ann", 1001) > 0); /* one /48 */
    ck_assert(admin_limiter_take(l, &home, "ann", 1001) <= 0);
    /* What was right costs nothing: many logins in a row. */
    for (int i = 0; i < 50; i++) {
        ck_assert(admin_limiter_take(l, &home, "ann", 1001) <= 0);
        ck_assert(!admin_limiter_succeeded(l, &home, "ann"));
    }
    admin_limiter_free(l);
}
END_TEST

/* Passwords and the book -----------------------------------------------------------------------------------
 */

START_TEST(test_passwords)
{
    char record[ADMIN_RECORD_MAX], other[ADMIN_RECORD_MAX], made[ADMIN_MADE_MAX];
    ck_assert_int_eq(admin_password_hash("correct horse", record), ERR_OK);
    ck_assert_int_eq(admin_password_hash("correct horse", other), ERR_OK);
    ck_assert_str_ne(record, other);
    ck_assert(admin_password_matches("correct horse", record));
    ck_assert(!admin_password_matches("correct horsf", record));
    ck_assert(!admin_password_matches("", "") && !admin_password_matches("x", "scrypt$15$8$1$00$00"));
    ck_assert_ptr_nonnull(admin_password_check("short"));
    ck_assert_ptr_nonnull(admin_password_check("control\ncharacter"));
    admin_password_make(made);
    ck_assert_ptr_null(admin_password_check(made));
}
END_TEST

static char dir[] = "/tmp/test_admin.XXXXXX", path[64];

static struct admin_book *book_open(void)
{
    struct admin_book *b;
    char why[SCHEMA_WHY];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/stile.db", dir);
    ck_assert_int_eq(admin_book_open(path, &b, why), ERR_OK);
    return b;
}

static void book_remove(struct admin_book *b)
{
    admin_book_close(b);
    unlink(path);
    rmdir(dir);
}

START_TEST(test_users)
{
    struct admin_book *b = book_open();
    struct admin_user u;
    char why[SCHEMA_WHY];
    ck_assert_int_eq(admin_user_add(b, "ann", ADMIN_WRITER, "r1", 1, why), ERR_OK);
    ck_assert_int_eq(admin_user_add(b, "ANN", ADMIN_READER, "r2", 1, why), ERR_EXISTS);
    ck_assert_int_eq(admin_user_add(b, "bob", ADMIN_READER, "r2", 1, why), ERR_OK);
    ck_assert_int_eq(admin_user_remove(b, "ann", why), ERR_REFUSED); /* the last one */
    ck_assert_int_eq(admin_user_change(b, "ann", ADMIN_READER, NULL, 2, why), ERR_REFUSED);
    ck_assert_int_eq(admin_user_change(b, "bob", ADMIN_WRITER, NULL, 2, why), ERR_OK);
    ck_assert_int_eq(admin_user_remove(b, "Ann", why), ERR_OK);
    ck_assert_int_eq(admin_user_find(b, "ann", &u, why), ERR_NOT_FOUND);
    ck_assert_int_eq(admin_user_find(b, "bob", &u, why), ERR_OK);
    ck_assert(u.role == ADMIN_WRITER && strcmp(u.record, "r2") == 0);
    book_remove(b);
}
END_TEST

/* A restart forgets nobody who has been in before. */
START_TEST(test_known)
{
    char why[SCHEMA_WHY], text[32];
    struct admin_book *b = book_open();
    for (unsigned i = 0; i < ADMIN_KNOWN_OF_ONE + 1; i++) {
        snprintf(text, sizeof text, "192.0.2.%u", i);
        ck_assert_int_eq(admin_known_add(b, "ann", text, why), ERR_OK);
    }
    ck_assert_int_eq(admin_known_add(b, "Ann", "192.0.2.9", why), ERR_OK);
    ck_assert_int_eq(admin_known_add(b, "bob", "192.0.2.0", why), ERR_OK);
    for (int times = 0; times < 2; times++) {
        struct admin_limiter *l = admin_limiter_new();
        struct netaddr first = ip("192.0.2.0"), second = ip("192.0.2.1");
        ck_assert_int_eq(admin_known_load(b, l, why), ERR_OK);
        ck_assert(admin_limiter_succeeded(l, &first, "ann")); /* the oldest, forgotten */
        ck_assert(admin_limiter_succeeded(l, &second, "ANN") == (times == 1));
        ck_assert(!admin_limiter_succeeded(l, &first, "bob"));
        ck_assert_int_eq(admin_known_forget(b, "ann", why), ERR_OK);
        admin_limiter_free(l);
    }
    book_remove(b);
}
END_TEST

static json_int_t audit_count(struct admin_book *b, const char *what, json_int_t *times)
{
    char why[SCHEMA_WHY];
    json_t *list, *one;
    size_t i;
    json_int_t n = 0;
    *times = 0;
    ck_assert_int_eq(admin_audit_list(b, 0, 100000, &list, why), ERR_OK);
    json_array_foreach (list, i, one)
        if (strcmp(json_string_value(json_object_get(one, "what")), what) == 0) {
            n++;
            *times += json_integer_value(json_object_get(one, "count"));
        }
    json_decref(list);
    return n;
}

/* Logins are one entry a day, and push out no change. */
START_TEST(test_audit)
{
    char why[SCHEMA_WHY], from[32];
    json_int_t times;
    struct admin_book *b = book_open();
    struct admin_deed change = {"ann", "192.0.2.1", "change", "{}", "done", false},
                      login = {"bob", "192.0.2.2", "login", "{}", "done", true};
    ck_assert_int_eq(admin_audit_add(b, &change, 1000, why), ERR_OK);
    ck_assert_int_eq(admin_audit_add(b, &change, 1000, why), ERR_OK);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(admin_audit_add(b, &login, 1000 + i, why), ERR_OK);
    ck_assert_int_eq(admin_audit_add(b, &login, 1000 + 86400, why), ERR_OK);
    ck_assert_int_eq(audit_count(b, "change", &times), 2);
    ck_assert_int_eq(audit_count(b, "login", &times), 2);
    ck_assert_int_eq(times, 51);
    login.from = from;
    for (unsigned i = 0; i < ADMIN_AUDIT_ROUTINE_MAX + 10; i++) {
        snprintf(from, sizeof from, "198.51.%u.%u", i / 256, i % 256);
        ck_assert_int_eq(admin_audit_add(b, &login, 90000, why), ERR_OK);
    }
    ck_assert_int_eq(audit_count(b, "change", &times), 2);
    ck_assert_int_eq(audit_count(b, "login", &times), ADMIN_AUDIT_ROUTINE_MAX);
    book_remove(b);
}
END_TEST

START_TEST(test_tokens)
{
    struct admin_book *b = book_open();
    char why[SCHEMA_WHY], name[ADMIN_NAME_MAX + 1];
    enum admin_role role = ADMIN_ANYONE;
    int64_t id = 0;
    ck_assert_int_eq(admin_token_add(b, "prom", ADMIN_READER, 100, "ann", 1, "stile_x", &id, why), ERR_OK);
    ck_assert_int_eq(admin_token_find(b, "stile_x", 99, &role, name, why), ERR_OK);
    ck_assert(role == ADMIN_READER && strcmp(name, "prom") == 0);
    ck_assert_int_eq(admin_token_find(b, "stile_x", 100, &role, name, why), ERR_NOT_FOUND); /* expired */
    ck_assert_int_eq(admin_token_find(b, "stile_y", 1, &role, name, why), ERR_NOT_FOUND);
    ck_assert_int_eq(admin_token_remove(b, id, why), ERR_OK);
    ck_assert_int_eq(admin_token_remove(b, id, why), ERR_NOT_FOUND);
    ck_assert_int_eq(admin_token_find(b, "stile_x", 1, &role, name, why), ERR_NOT_FOUND);
    book_remove(b);
}
END_TEST

/* Credentials ----------------------------------------------------------------------------------------------
 */

static struct admin_credentials credentials(const char *cookie, const char *more, const char *authorization)
{
    struct http_message m;
    struct admin_credentials k;
    http_message_init(&m);
    http_message_add_str(&m, "cookie", cookie);
    http_message_add_str(&m, "cookie", more);
    http_message_add_str(&m, "authorization", authorization);
    admin_credentials_read(&m, &k);
    http_message_free(&m);
    return k;
}

START_TEST(test_credentials)
{
    ck_assert_str_eq(credentials("a=b; __Host-stile=tok; c=d", NULL, NULL).session, "tok");
    ck_assert_str_eq(credentials("a=b", "__Host-stile=tok", NULL).session, "tok");
    ck_assert_str_eq(credentials("x__Host-stile=tok", NULL, NULL).session, "");
    ck_assert_str_eq(credentials("__Host-stile=a; __Host-stile=b", NULL, NULL).session, ""); /* which? */
    ck_assert_str_eq(credentials("__Host-stile=a", "__Host-stile=b", NULL).session, "");
    ck_assert_str_eq(credentials(NULL, NULL, "bearer tok").bearer, "tok");
    ck_assert_str_eq(credentials(NULL, NULL, "Basic tok").bearer, "");
    ck_assert_str_eq(credentials(NULL, NULL, "Bearer two words").bearer, "");
}
END_TEST

UNIT_MAIN("admin", test_routes, test_every_route, test_arguments, test_sessions, test_sessions_bounded,
          test_limiter, test_limiter_trust, test_passwords, test_users, test_known, test_audit, test_tokens,
          test_credentials)
