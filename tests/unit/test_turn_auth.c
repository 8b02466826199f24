/* RFC 8489 §9.2 from the client's side, and everything that must be refused; ephemeral credentials. */
#include <openssl/crypto.h>

#include "edge/turn/turn_account.h"
#include "edge/turn/turn_auth.h"
#include "proto/stun_ephemeral.h"
#include "tests/unit/turn_fixture.h"

static struct fixture f;

/* The whole way ----------------------------------------------------------------------------------------- */

/* facts: nonce cookie, PASSWORD-ALGORITHMS, its echo, USERHASH, MESSAGE-INTEGRITY-SHA256: all of it */
START_TEST(test_call_by_rfc8489)
{
    fixture_start(&f, "");
    fixture_log_in(&f);
    ck_assert_mem_eq(f.challenge.nonce, "obMatJos2AAAD", 13);
    ck_assert_uint_lt(f.challenge.nonce_len, 128); /* RFC 8489 §14.10 */
    ck_assert_uint_eq(f.challenge.algorithms_len, 8);
    ck_assert_mem_eq(f.challenge.algorithms, "\0\2\0\0\0\1\0\0", 8);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_uint_eq(f.relays_open, 1);
    struct turn_allocation *a = turn_allocation_find(f.server, &f.client.key);
    ck_assert_str_eq(a->account->name, "alice");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.1:1000"), 0);
    ck_assert_int_eq(fixture_bind(&f, 0x4000, "198.51.100.2:1000"), 400); /* errors are signed as well */
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(fixture_refresh(&f, 600), 441);
    f.user = "alice";
    f.password = "apple";
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_uint_eq(f.relays_open, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_hash_and_name_are_one_user)
{
    fixture_start(&f, "");
    ck_assert_int_eq(fixture_allocate(&f), 0); /* with its name, in the old way */
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0); /* with its hash, in the new way */
    fixture_stop(&f);
}
END_TEST

START_TEST(test_retransmission)
{
    size_t n;
    struct netaddr first, again;
    fixture_start(&f, "");
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_RELAYED_ADDRESS, &first), ERR_OK);
    n = ((size_t)f.request[2] << 8 | f.request[3]) + STUN_HEADER;
    ck_assert(fixture_deliver(&f, f.request, n));
    ck_assert_int_eq(stun_get_xor_address(&f.answer, STUN_XOR_RELAYED_ADDRESS, &again), ERR_OK);
    ck_assert(netaddr_equal(&first, &again));
    ck_assert_uint_eq(f.relays_open, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_stale_nonce_is_renewed)
{
    fixture_start(&f, "\"lifetime\":{\"nonce\":60}");
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_pass(&f, 61);
    ck_assert_int_eq(fixture_refresh(&f, 600), 438);
    ck_assert_int_eq(fixture_refresh(&f, 600), 0); /* with the nonce of the 438 */
    fixture_stop(&f);
}
END_TEST

/* What is offered --------------------------------------------------------------------------------------- */

START_TEST(test_offers)
{
    static const struct {
        const char *config, *cookie, *list;
        size_t list_len;
    } rows[] = {
        {"", "obMatJos2AAAD", "\0\2\0\0\0\1\0\0", 8},
        {"\"password_algorithms\":[\"md5\",\"sha256\"]", "obMatJos2AAAD", "\0\1\0\0\0\2\0\0", 8},
        {"\"password_algorithms\":[\"sha256\"]", "obMatJos2AAAD", "\0\2\0\0", 4},
        {"\"password_algorithms\":[\"md5\"]", "obMatJos2AAAC", "", 0},
        /* behind a hash nobody could look up ephemeral credentials */
        {"\"shared_secrets\":[\"north\"]", "obMatJos2AAAB", "\0\2\0\0\0\1\0\0", 8},
        {"\"shared_secrets\":[\"north\"],\"password_algorithms\":[\"md5\"]", "obMatJos2AAAA", "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture_start(&f, rows[i].config);
        fixture_log_in(&f);
        ck_assert_mem_eq(f.challenge.nonce, rows[i].cookie, STUN_NONCE_COOKIE);
        ck_assert_uint_eq(f.challenge.algorithms_len, rows[i].list_len);
        ck_assert_mem_eq(f.challenge.algorithms, rows[i].list, rows[i].list_len);
        ck_assert_int_eq(fixture_allocate(&f), 0);
        fixture_stop(&f);
    }
}
END_TEST

START_TEST(test_md5_not_accepted)
{
    fixture_start(&f, "\"password_algorithms\":[\"sha256\"]");
    ck_assert_int_eq(fixture_allocate(&f), 401); /* in the old way */
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

/* A user who was taken over with an MD5 key only. */
START_TEST(test_user_without_sha256_key)
{
    struct stun_key key;
    char config[400], hex[33];
    stun_long_term_key(STUN_ALGORITHM_MD5, "carol", "example.org", "cherry", &key);
    for (size_t i = 0; i < key.len; i++)
        snprintf(hex + 2 * i, 3, "%02x", key.bytes[i]);
    for (int first = 0; first < 2; first++) {
        snprintf(config, sizeof config,
                 "\"users\":[{\"name\":\"carol\",\"key\":\"%s\"}],\"password_algorithms\":[%s]", hex,
                 first ? "\"md5\",\"sha256\"" : "\"sha256\",\"md5\"");
        fixture_start(&f, config);
        f.user = "carol";
        f.password = "cherry";
        ck_assert_int_eq(fixture_allocate(&f), 0);
        ck_assert_int_eq(fixture_refresh(&f, 0), 0);
        fixture_log_in(&f); /* takes the first that is offered, RFC 8489 §9.2.5 */
        ck_assert_int_eq(fixture_allocate(&f), first ? 0 : 401);
        fixture_stop(&f);
    }
}
END_TEST

/* Single requests --------------------------------------------------------------------------------------- */

enum part { USER = 1, REALM = 2, NONCE = 4, LIST = 8, CHOSEN = 16 };
enum integrity { NONE, SHA1, SHA256, BOTH, BOTH_FIRST_WRONG, BOTH_SECOND_WRONG, CUT_28, CUT_16 };
enum nonce { GOOD, FORGED, NO_COOKIE, FEATURES_CLEARED, FEATURES_MORE, EMPTY };
enum answer { UNSIGNED, SIGNED_SHA1, SIGNED_SHA256 };
static const char md5[] = "\0\1\0\0", sha256[] = "\0\2\0\0", md5_with[] = "\0\1\0\4wxyz",
                  unknown[] = "\0\3\0\0", both[] = "\0\2\0\0\0\1\0\0", swapped[] = "\0\1\0\0\0\2\0\0",
                  longer[] = "\0\2\0\0\0\1\0\0\0\3\0\0";

/* What is not said is as a client of RFC 8489 would have it. */
static const struct attempt {
    const char *what;
    int code;
    enum answer answer;
    enum integrity integrity;
    unsigned without; /* parts */
    bool by_name, both_names;
    enum stun_algorithm key; /* 0: SHA-256 */
    const char *user, *password, *realm;
    enum nonce nonce;
    const char *list, *chosen;
    size_t list_len, chosen_len;
    char last;
} attempts[] = {
#define ROW(...)                                                                                             \
    {                                                                                                        \
        __VA_ARGS__, .last = 0                                                                               \
    }
    ROW("all of RFC 8489", 0, SIGNED_SHA256, SHA256),
    ROW("name instead of hash", 0, SIGNED_SHA256, SHA256, .by_name = true),
    ROW("name and the hash of somebody else", 0, SIGNED_SHA256, SHA256, .by_name = true, .both_names = true),
    ROW("all of RFC 5389", 0, SIGNED_SHA1, SHA1, LIST | CHOSEN, .by_name = true, .key = STUN_ALGORITHM_MD5),
    ROW("no algorithms, SHA-256 integrity", 0, SIGNED_SHA1, SHA256, LIST | CHOSEN, .key = STUN_ALGORITHM_MD5),
    ROW("no algorithms, but the key of SHA-256", 401, UNSIGNED, SHA256, LIST | CHOSEN),
    ROW("MD5 chosen", 0, SIGNED_SHA256, SHA256, .key = STUN_ALGORITHM_MD5, .chosen = md5, .chosen_len = 4),
    ROW("MD5 chosen, SHA-1 integrity", 0, SIGNED_SHA256, SHA1, .key = STUN_ALGORITHM_MD5, .chosen = md5,
        .chosen_len = 4),
    ROW("MD5 chosen, but the key of SHA-256", 401, UNSIGNED, SHA256, .chosen = md5, .chosen_len = 4),
    ROW("SHA-256 chosen, but the key of MD5", 401, UNSIGNED, SHA256, .key = STUN_ALGORITHM_MD5),
    ROW("SHA-256 chosen, SHA-1 integrity", 0, SIGNED_SHA256, SHA1),
    ROW("both integrities", 0, SIGNED_SHA256, BOTH),
    ROW("both, only the second right", 0, SIGNED_SHA256, BOTH_FIRST_WRONG),
    ROW("both, only the first right", 401, UNSIGNED, BOTH_SECOND_WRONG),
    ROW("no integrity", 401, UNSIGNED, NONE),
    ROW("nothing at all", 401, UNSIGNED, NONE, USER | REALM | NONCE | LIST | CHOSEN),
    ROW("integrity cut to 28 bytes", 401, UNSIGNED, CUT_28),
    ROW("integrity cut to 16 bytes", 401, UNSIGNED, CUT_16),
    ROW("no user", 400, UNSIGNED, SHA256, USER),
    ROW("no realm", 400, UNSIGNED, SHA256, REALM),
    ROW("no nonce", 400, UNSIGNED, SHA256, NONCE),
    ROW("no nonce, SHA-1", 400, UNSIGNED, SHA1, NONCE),
    ROW("only the list", 400, UNSIGNED, SHA256, CHOSEN),
    ROW("only the choice", 400, UNSIGNED, SHA256, LIST),
    ROW("only the choice of MD5", 400, UNSIGNED, SHA1, LIST, .key = STUN_ALGORITHM_MD5, .chosen = md5,
        .chosen_len = 4),
    ROW("list without SHA-256", 400, UNSIGNED, SHA256, .key = STUN_ALGORITHM_MD5, .list = md5, .list_len = 4,
        .chosen = md5, .chosen_len = 4),
    ROW("list in another order", 400, UNSIGNED, SHA256, .list = swapped, .list_len = 8),
    ROW("list with one more", 400, UNSIGNED, SHA256, .list = longer, .list_len = 12),
    ROW("list that is too short", 400, UNSIGNED, SHA256, .list = sha256, .list_len = 4),
    ROW("choice that is not in the list", 400, UNSIGNED, SHA256, .chosen = unknown, .chosen_len = 4),
    ROW("choice with parameters", 400, UNSIGNED, SHA256, .key = STUN_ALGORITHM_MD5, .chosen = md5_with,
        .chosen_len = 8),
    ROW("choice of two", 400, UNSIGNED, SHA256, .chosen = both, .chosen_len = 8),
    ROW("wrong password", 401, UNSIGNED, SHA256, .password = "pear"),
    ROW("wrong password, old way", 401, UNSIGNED, SHA1, LIST | CHOSEN, .by_name = true,
        .key = STUN_ALGORITHM_MD5, .password = "pear"),
    ROW("unknown user", 401, UNSIGNED, SHA256, .user = "mallory", .by_name = true),
    ROW("unknown hash", 401, UNSIGNED, SHA256, .user = "mallory"),
    ROW("somebody else's password", 401, UNSIGNED, SHA256, .user = "bob"),
    ROW("another realm", 401, UNSIGNED, SHA256, .realm = "example.com"),
    ROW("empty realm", 401, UNSIGNED, SHA256, .realm = ""),
    ROW("forged nonce", 438, UNSIGNED, SHA256, .nonce = FORGED),
    ROW("empty nonce", 438, UNSIGNED, SHA1, LIST | CHOSEN, .key = STUN_ALGORITHM_MD5, .nonce = EMPTY),
    /* somebody on the way takes the new features away: the client gives in, the server does not */
    ROW("nonce without its cookie", 438, UNSIGNED, SHA1, LIST | CHOSEN, .by_name = true,
        .key = STUN_ALGORITHM_MD5, .nonce = NO_COOKIE),
    ROW("nonce with no features", 438, UNSIGNED, SHA1, LIST | CHOSEN, .by_name = true,
        .key = STUN_ALGORITHM_MD5, .nonce = FEATURES_CLEARED),
    ROW("nonce with more features", 438, UNSIGNED, SHA256, .nonce = FEATURES_MORE),
    /* the order of §9.2.4 */
    ROW("no nonce, only the list, unknown user", 400, UNSIGNED, SHA256, NONCE | CHOSEN, .user = "mallory"),
    ROW("only the list, wrong password", 400, UNSIGNED, SHA256, CHOSEN, .password = "pear"),
    ROW("only the list, forged nonce", 400, UNSIGNED, SHA256, CHOSEN, .nonce = FORGED),
    ROW("wrong password, forged nonce", 401, UNSIGNED, SHA256, .password = "pear", .nonce = FORGED),
    ROW("unknown user, forged nonce", 401, UNSIGNED, SHA256, .user = "mallory", .nonce = FORGED),
#undef ROW
};

static void put_users(const struct attempt *t, const char *user)
{
    uint8_t hash[STUN_USERHASH_SIZE];
    stun_userhash(t->both_names ? "bob" : user, "example.org", hash);
    if (t->by_name)
        stun_put(&f.writer, STUN_USERNAME, user, strlen(user));
    if (!t->by_name || t->both_names)
        stun_put(&f.writer, STUN_USERHASH, hash, sizeof hash);
}

static void put_nonce(enum nonce kind)
{
    char nonce[STUN_NONCE_TEXT];
    const char *at = nonce;
    size_t n = kind == EMPTY ? 0 : sizeof nonce;
    ck_assert_uint_eq(f.challenge.nonce_len, sizeof nonce);
    memcpy(nonce, f.challenge.nonce, sizeof nonce);
    if (kind == FORGED)
        nonce[n - 1] = nonce[n - 1] == 'A' ? 'E' : 'A';
    if (kind == FEATURES_CLEARED || kind == FEATURES_MORE)
        nonce[STUN_NONCE_COOKIE - 1] = kind == FEATURES_MORE ? 'H' : 'A';
    if (kind == NO_COOKIE) {
        at += STUN_NONCE_COOKIE;
        n -= STUN_NONCE_COOKIE;
    }
    stun_put(&f.writer, STUN_NONCE, at, n);
}

static void put_integrity(enum integrity kind, const struct stun_key *key)
{
    static const uint8_t wrong[] = "sixteen bytes ..";
    uint8_t *start = f.writer.wire.at;
    if (kind == SHA1 || kind == BOTH || kind == BOTH_SECOND_WRONG)
        stun_put_integrity(&f.writer, key->bytes, key->len);
    if (kind == BOTH_FIRST_WRONG)
        stun_put_integrity(&f.writer, wrong, 16);
    if (kind == BOTH_SECOND_WRONG)
        stun_put_integrity_sha256(&f.writer, wrong, 16);
    else if (kind != NONE && kind != SHA1)
        stun_put_integrity_sha256(&f.writer, key->bytes, key->len);
    if (kind == CUT_28 || kind == CUT_16) {
        start[3] = kind == CUT_28 ? 28 : 16;
        f.writer.wire.at = start + 4 + start[3];
    }
}

static int attempt_send(const struct attempt *t, struct stun_key *key)
{
    const char *user = t->user ? t->user : "alice", *realm = t->realm ? t->realm : "example.org";
    enum stun_algorithm a = t->key ? t->key : STUN_ALGORITHM_SHA256;
    stun_long_term_key(a, user, "example.org", t->password ? t->password : "apple", key);
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    if (!(t->without & USER))
        put_users(t, user);
    if (!(t->without & REALM))
        stun_put(&f.writer, STUN_REALM, realm, strlen(realm));
    if (!(t->without & NONCE))
        put_nonce(t->nonce);
    if (!(t->without & LIST))
        stun_put(&f.writer, STUN_PASSWORD_ALGORITHMS, t->list ? t->list : both, t->list ? t->list_len : 8);
    if (!(t->without & CHOSEN))
        stun_put(&f.writer, STUN_PASSWORD_ALGORITHM, t->chosen ? t->chosen : sha256,
                 t->chosen ? t->chosen_len : 4);
    put_integrity(t->integrity, key);
    return fixture_plain(&f);
}

static void answer_check(const struct attempt *t, const struct stun_key *key)
{
    bool sha1 = stun_has(&f.answer, STUN_MESSAGE_INTEGRITY),
         sha2 = stun_has(&f.answer, STUN_MESSAGE_INTEGRITY_SHA256);
    bool challenged = t->code == 401 || t->code == 438;
    ck_assert_msg(sha1 == (t->answer == SIGNED_SHA1) && sha2 == (t->answer == SIGNED_SHA256), "%s", t->what);
    ck_assert_msg(!sha1 || stun_check_integrity(&f.answer, key->bytes, key->len), "%s", t->what);
    ck_assert_msg(!sha2 || stun_check_integrity_sha256(&f.answer, key->bytes, key->len, 32), "%s", t->what);
    ck_assert_msg(stun_has(&f.answer, STUN_REALM) == challenged &&
                      stun_has(&f.answer, STUN_NONCE) == challenged,
                  "%s", t->what);
    ck_assert_msg(stun_has(&f.answer, STUN_PASSWORD_ALGORITHMS) == challenged, "%s", t->what);
    ck_assert_msg(!stun_has(&f.answer, STUN_USERNAME) && !stun_has(&f.answer, STUN_USERHASH), "%s", t->what);
}

START_TEST(test_single_requests)
{
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        const struct attempt *t = &attempts[i];
        struct stun_key key;
        fixture_start(&f, "");
        fixture_log_in(&f);
        int code = attempt_send(t, &key);
        ck_assert_msg(code == t->code, "%s: %d", t->what, code);
        answer_check(t, &key);
        ck_assert_uint_eq(f.relays_open, t->code == 0);
        fixture_stop(&f);
    }
}
END_TEST

/* The key that stands in for a user whom nobody knows opens nothing, whatever it is used with. */
START_TEST(test_no_key_of_unknown_users)
{
    static const struct stun_key zero = {.len = STUN_KEY_MD5};
    static const char *const names[] = {"mallory", "9999999999:alice", "1:alice"};
    fixture_start(&f, "\"shared_secrets\":[\"north\"]");
    for (size_t i = 0; i < 3; i++)
        for (int sha = 0; sha < 2; sha++) {
            fixture_log_in(&f);
            fixture_begin(&f, STUN_METHOD_ALLOCATE);
            stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
            stun_put(&f.writer, STUN_USERNAME, names[i], strlen(names[i]));
            stun_put(&f.writer, STUN_REALM, "example.org", 11);
            put_nonce(GOOD);
            put_integrity(sha ? SHA256 : SHA1, &zero);
            ck_assert_int_eq(fixture_plain(&f), 401);
        }
    fixture_stop(&f);
}
END_TEST

/* Attributes behind the integrity are not covered by it, and do not count. */
START_TEST(test_what_follows_the_integrity)
{
    fixture_start(&f, "");
    fixture_log_in(&f);
    for (int sha = 0; sha < 2; sha++) {
        struct stun_key key = fixture_key(&f, STUN_ALGORITHM_MD5);
        ck_assert_int_eq(fixture_allocate(&f), 0);
        fixture_begin(&f, STUN_METHOD_REFRESH);
        stun_put_u32(&f.writer, STUN_LIFETIME, 3000);
        stun_put(&f.writer, STUN_USERNAME, "alice", 5);
        stun_put(&f.writer, STUN_REALM, "example.org", 11);
        put_nonce(GOOD);
        put_integrity(sha ? SHA256 : SHA1, &key);
        stun_put(&f.writer, STUN_REQUESTED_ADDRESS_FAMILY, "\2\0\0\0", 4); /* would be 443 */
        stun_put(&f.writer, STUN_PASSWORD_ALGORITHM, sha256, 4);           /* would be 400 */
        if (sha)
            put_integrity(SHA1, &key); /* wrong place: ignored as well */
        stun_put_fingerprint(&f.writer);
        ck_assert_int_eq(fixture_plain(&f), 0);
        ck_assert(stun_has(&f.answer, STUN_FINGERPRINT));
        ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    }
    fixture_stop(&f);
}
END_TEST

/* Reconfiguring ----------------------------------------------------------------------------------------- */

static void reconfigure(const char *extra)
{
    char why[200] = "";
    struct turn_config c = fixture_config(extra);
    memcpy(c.nonce_key, f.server->config.nonce_key, sizeof c.nonce_key);
    ck_assert_msg(turn_server_reconfigure(f.server, &c, why, sizeof why) == ERR_OK, "%s", why);
}

/* A call that goes on echoes a list that is not offered any more: it was sent all the same, so that is no
 * 400; the nonce is stale. */
START_TEST(test_offer_changes_during_a_call)
{
    static const char *const configs[] = {"\"password_algorithms\":[\"md5\",\"sha256\"]",
                                          "\"password_algorithms\":[\"md5\"]",
                                          "\"password_algorithms\":[\"sha256\"]",
                                          "",
                                          "\"shared_secrets\":[\"north\"]",
                                          ""};
    fixture_start(&f, "");
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        reconfigure(configs[i]);
        ck_assert_msg(fixture_refresh(&f, 600) == 438, "%s", configs[i]);
        ck_assert_msg(fixture_refresh(&f, 600) == 0, "%s", configs[i]);
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(test_removed_user_has_no_hash)
{
    fixture_start(&f, "");
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    reconfigure("\"users\":[{\"name\":\"bob\",\"password\":\"banana\"}]");
    ck_assert_int_eq(fixture_refresh(&f, 600), 401);
    ck_assert_uint_eq(f.relays_open, 1);
    reconfigure(""); /* there again, as a new account of the same name */
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    fixture_stop(&f);
}
END_TEST

/* One user changes in a running worker, the others and all calls stay as they are. */
static void put_user(const char *name, const char *password)
{
    struct turn_config c = {0};
    ck_assert_int_eq(turn_config_set_realm(&c, "example.org"), ERR_OK);
    ck_assert_int_eq(turn_config_add_user(&c, name, password), ERR_OK);
    ck_assert_int_eq(turn_account_put(&f.server->accounts, &c.users[0], c.realm, f.server->shared), ERR_OK);
    turn_config_free(&c);
}

START_TEST(test_one_user_changes)
{
    fixture_start(&f, "");
    fixture_log_in(&f);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    turn_account_drop(&f.server->accounts, "alice");
    turn_account_drop(&f.server->accounts, "nobody");
    ck_assert_int_eq(fixture_refresh(&f, 600), 401); /* the next request, */
    ck_assert_uint_eq(f.relays_open, 1);             /* not the call, is what a dropped user loses */
    put_user("alice", "apple");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    put_user("alice", "pear");
    ck_assert_int_eq(fixture_refresh(&f, 600), 401);
    f.password = "pear";
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    f.user = "carol";
    f.password = "cherry";
    ck_assert_int_eq(fixture_allocate(&f), 401);
    put_user("carol", "cherry");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    f.user = "bob";
    f.password = "banana";
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

/* The first of two phases finds what the second would refuse, and changes nothing. */
START_TEST(test_judged_before_it_changes)
{
    char why[200] = "";
    fixture_start(&f, "");
    fixture_log_in(&f);
    struct turn_config c = fixture_config("\"relay_ports\":[30000,30010]");
    ck_assert_int_eq(turn_server_judge(f.server, &c, why, sizeof why), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(why, "relay_ports"));
    ck_assert_int_eq(turn_server_reconfigure(f.server, &c, why, sizeof why), ERR_CONFIG);
    c = fixture_config("\"users\":[]");
    ck_assert_int_eq(turn_server_judge(f.server, &c, why, sizeof why), ERR_OK);
    turn_config_free(&c);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_stop(&f);
}
END_TEST

/* Ephemeral credentials --------------------------------------------------------------------------------- */

static char token_name[600], token_password[STUN_EPHEMERAL_PASSWORD + 1];

/* Credentials that end so many seconds from now (FIXTURE_WALL), made with the secret; name may be NULL. */
static void use_token(const char *secret, int seconds, const char *name)
{
    long long ends = (long long)f.server->wall + seconds;
    snprintf(token_name, sizeof token_name, "%lld%s%s", ends, name ? ":" : "", name ? name : "");
    stun_ephemeral_password(secret, token_name, strlen(token_name), token_password);
    f.user = token_name;
    f.password = token_password;
}

/* In the old way and in the new one. */
static void both_ways(void (*test)(void))
{
    for (int modern = 0; modern < 2; modern++) {
        fixture_start(&f, "\"shared_secrets\":[\"north\",\"south\"],\"quota\":{\"user\":3}");
        if (modern)
            fixture_log_in(&f);
        test();
        fixture_stop(&f);
    }
}

static void tokens(void)
{
    use_token("north", 60, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_str_eq(turn_allocation_find(f.server, &f.client.key)->account->name, "dave");
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    use_token("south", 60, "dave"); /* any of the secrets */
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    use_token("north", 0, NULL); /* to its last second; no name */
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    use_token("west", 60, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 401);
    use_token("north", -1, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 401);
    use_token("north", 60, "dave");
    token_name[strlen(token_name) - 1] = 'x'; /* the password of somebody else's name */
    ck_assert_int_eq(fixture_allocate(&f), 401);
    use_token("north", 60, "dave");
    token_name[0]++; /* the password of another time */
    ck_assert_int_eq(fixture_allocate(&f), 401);
    f.user = "alice"; /* users of the config are there as well */
    f.password = "apple";
    ck_assert_int_eq(fixture_allocate(&f), 0);
    ck_assert_uint_eq(f.server->accounts.ephemerals.count, 0);
}

START_TEST(test_ephemeral)
{
    both_ways(tokens);
}
END_TEST

static int allocate_from(unsigned client)
{
    char text[40];
    snprintf(text, sizeof text, "192.0.2.1:%u", 6000 + client);
    fixture_client(&f, text);
    return fixture_allocate(&f);
}

static void quotas(void)
{
    for (unsigned i = 0; i < 3; i++) {
        use_token(i % 2 ? "north" : "south", 60 + (int)i, "dave");
        ck_assert_int_eq(allocate_from(i), 0);
    }
    ck_assert_uint_eq(f.server->accounts.ephemerals.count, 1); /* one user, whatever the time */
    use_token("north", 99, "dave");
    ck_assert_int_eq(allocate_from(3), 486);
    use_token("north", 99, "erin");
    ck_assert_int_eq(allocate_from(4), 0);
    use_token("north", 99, "alice"); /* not the alice of the config */
    for (unsigned i = 5; i < 8; i++)
        ck_assert_int_eq(allocate_from(i), 0);
    f.user = "alice";
    f.password = "apple";
    ck_assert_int_eq(allocate_from(8), 0);
    for (unsigned i = 9; i < 13; i++) { /* without a name, each time is a user of its own */
        use_token("north", (int)i, NULL);
        ck_assert_int_eq(allocate_from(i), 0);
    }
    ck_assert_uint_eq(f.server->accounts.ephemerals.count, 7);
    fixture_pass(&f, 700);
    ck_assert_uint_eq(f.server->accounts.ephemerals.count, 0); /* gone with their allocations */
}

START_TEST(test_ephemeral_quota)
{
    both_ways(quotas);
}
END_TEST

/* RFC 8656 §5: the same user name, all of it. */
static void other_credentials(void)
{
    use_token("north", 60, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    use_token("north", 61, "dave");
    ck_assert_int_eq(fixture_refresh(&f, 600), 441);
    ck_assert_int_eq(fixture_allocate(&f), 437);
    use_token("north", 60, "erin");
    ck_assert_int_eq(fixture_refresh(&f, 600), 441);
    use_token("north", 60, NULL);
    ck_assert_int_eq(fixture_refresh(&f, 600), 441);
    f.user = "alice";
    f.password = "apple";
    ck_assert_int_eq(fixture_refresh(&f, 600), 441);
    use_token("north", 60, "dave");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    /* "TIME" is not "TIME:TIME" */
    use_token("north", 60, NULL);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    char time[40];
    snprintf(time, sizeof time, "%u", f.server->wall + 60);
    use_token("north", 60, time);
    ck_assert_int_eq(fixture_refresh(&f, 600), 441);
    ck_assert_uint_eq(f.server->accounts.ephemerals.count, 1);
}

START_TEST(test_ephemeral_441)
{
    both_ways(other_credentials);
}
END_TEST

/* Credentials that end during a call do not end the call; they make no new one. */
static void time_passes(void)
{
    use_token("north", 60, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    fixture_pass(&f, 100);
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    ck_assert_int_eq(fixture_permit(&f, "198.51.100.1"), 0);
    fixture_client(&f, "192.0.2.1:7777"); /* another allocation */
    ck_assert_int_eq(fixture_allocate(&f), 401);
    ck_assert_int_eq(fixture_refresh(&f, 600), 401);
    fixture_client(&f, "192.0.2.1:5000");
    use_token("north", -30, "dave"); /* other credentials, which have ended too */
    ck_assert_int_eq(fixture_refresh(&f, 600), 401);
    use_token("north", -40, "dave"); /* the ones of the allocation again */
    ck_assert_int_eq(fixture_refresh(&f, 0), 0);
    ck_assert_int_eq(fixture_allocate(&f), 401); /* gone is gone */
}

START_TEST(test_ephemeral_ends_during_a_call)
{
    both_ways(time_passes);
}
END_TEST

/* A new secret is introduced, then the old one withdrawn. */
START_TEST(test_secret_rotation)
{
    fixture_start(&f, "\"shared_secrets\":[\"old\"]");
    use_token("new", 600, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 401);
    use_token("old", 600, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    reconfigure("\"shared_secrets\":[\"new\",\"old\"]");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    fixture_client(&f, "192.0.2.1:7777");
    use_token("new", 600, "dave");
    ck_assert_int_eq(fixture_allocate(&f), 0);
    reconfigure("\"shared_secrets\":[\"new\"]");
    ck_assert_int_eq(fixture_refresh(&f, 600), 0);
    fixture_client(&f, "192.0.2.1:5000");
    use_token("old", 600, "dave");
    ck_assert_int_eq(fixture_refresh(&f, 600), 401); /* as with a user who has been removed */
    ck_assert_uint_eq(f.relays_open, 2);
    reconfigure("");
    fixture_client(&f, "192.0.2.1:7777");
    use_token("new", 600, "dave");
    ck_assert_int_eq(fixture_refresh(&f, 600), 401);
    fixture_stop(&f);
}
END_TEST

START_TEST(test_ephemeral_names_that_are_refused)
{
    static const char *const names[] = {
        "0:dave", "dave", ":dave", "99999999999999999999:dave", "", "1800000000:a\nb", "01800000000:dave"};
    fixture_start(&f, "\"shared_secrets\":[\"north\"]");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        stun_ephemeral_password("north", names[i], strlen(names[i]), token_password);
        f.user = names[i];
        f.password = token_password;
        ck_assert_msg(fixture_allocate(&f) == 401, "%s", names[i]);
    }
    char name[TURN_NAME_MAX + 2] = "1800000000:";
    memset(name + 11, 'x', sizeof name - 12);
    name[sizeof name - 1] = '\0'; /* one byte longer than RFC 8489 §14.3 has it */
    for (int i = 1; i >= 0; i--) {
        name[TURN_NAME_MAX + i] = '\0';
        stun_ephemeral_password("north", name, strlen(name), token_password);
        f.user = name;
        f.password = token_password;
        ck_assert_int_eq(fixture_allocate(&f), i ? 401 : 0);
    }
    fixture_stop(&f);
}
END_TEST

/* How long answers to strangers are --------------------------------------------------------------------- */

START_TEST(test_challenge_is_as_short_as_can_be)
{
    fixture_start(&f, "");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    ck_assert_int_eq(fixture_plain(&f), 401);
    /* header, ERROR-CODE without words, REALM, NONCE, PASSWORD-ALGORITHMS: docs/turn-authentication.md */
    ck_assert_uint_eq(f.answer_size, 20 + 8 + (4 + 12) + (4 + 32) + (4 + 8));
    fixture_stop(&f);
    fixture_start(&f, "\"password_algorithms\":[\"md5\"]");
    fixture_begin(&f, STUN_METHOD_ALLOCATE);
    stun_put_u32(&f.writer, STUN_REQUESTED_TRANSPORT, 17u << 24);
    ck_assert_int_eq(fixture_plain(&f), 401);
    ck_assert_uint_eq(f.answer_size, 20 + 8 + (4 + 12) + (4 + 32));
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_auth", test_call_by_rfc8489, test_hash_and_name_are_one_user, test_retransmission,
          test_stale_nonce_is_renewed, test_offers, test_md5_not_accepted, test_user_without_sha256_key,
          test_single_requests, test_no_key_of_unknown_users, test_what_follows_the_integrity,
          test_offer_changes_during_a_call, test_removed_user_has_no_hash, test_one_user_changes,
          test_judged_before_it_changes, test_ephemeral, test_ephemeral_quota, test_ephemeral_441,
          test_ephemeral_ends_during_a_call, test_secret_rotation, test_ephemeral_names_that_are_refused,
          test_challenge_is_as_short_as_can_be)
