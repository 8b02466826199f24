#include "edge/turn/turn_admission.h"
#include "tests/unit/unit.h"

static struct turn_config config;
static struct turn_admission *admission;

static struct netaddr address(const char *text)
{
    struct netaddr a;
    ck_assert_int_eq(netaddr_parse(text, 0, &a), ERR_OK);
    return a;
}

static void start(size_t most)
{
    struct netcidr bridges;
    turn_config_init(&config);
    config.address_connections_max = 3;
    config.handshakes_max = 4;
    config.address_handshakes_max = 2;
    ck_assert_int_eq(netcidr_parse("10.0.0.0/8", &bridges), ERR_OK);
    ck_assert_int_eq(turn_config_add_cidr(&config.allow_peers, &config.n_allow_peers, &bridges), ERR_OK);
    admission = turn_admission_new(&config, most);
    ck_assert_ptr_nonnull(admission);
}

static void stop(void)
{
    turn_admission_free(admission);
    turn_config_free(&config);
}

static bool enter(const char *from, struct turn_pass *pass)
{
    struct netaddr a = address(from);
    return turn_admission_enter(admission, &a, pass);
}

START_TEST(test_total)
{
    struct turn_pass passes[5] = {0};
    start(4);
    ck_assert(enter("192.0.2.1", &passes[0]));
    ck_assert(enter("192.0.2.2", &passes[1]));
    ck_assert(enter("10.1.1.1", &passes[2]));
    ck_assert(enter("2001:db8::1", &passes[3]));
    ck_assert(!enter("192.0.2.3", &passes[4]));
    ck_assert(!enter("10.1.1.2", &passes[4])); /* bridges count in all */
    turn_admission_leave(admission, &passes[2]);
    ck_assert(enter("192.0.2.3", &passes[4]));
    ck_assert_uint_eq(turn_admission_count(admission), 4);
    for (int i = 0; i < 5; i++)
        turn_admission_leave(admission, &passes[i]); /* also one that was left already */
    ck_assert_uint_eq(turn_admission_count(admission), 0);
    stop();
}
END_TEST

START_TEST(test_per_address)
{
    struct turn_pass passes[10] = {0}, more = {0};
    start(100);
    for (int i = 0; i < 3; i++)
        ck_assert(enter("192.0.2.1:5", &passes[i]));
    ck_assert(!enter("192.0.2.1:6", &more)); /* ports do not matter */
    ck_assert(enter("192.0.2.2", &passes[3]));
    for (int i = 4; i < 7; i++)
        ck_assert(enter("2001:db8::1", &passes[i]));
    ck_assert(!enter("2001:db8::ffff", &more)); /* the same /64 */
    turn_admission_leave(admission, &passes[0]);
    ck_assert(enter("192.0.2.1", &passes[0]));
    stop();
}
END_TEST

START_TEST(test_bridges_are_not_counted_by_address)
{
    struct turn_pass passes[8] = {0};
    start(100);
    for (int i = 0; i < 4; i++) {
        ck_assert(enter("10.1.1.1", &passes[i]));
        ck_assert(turn_admission_handshake(admission, &passes[i]));
    }
    ck_assert(enter("10.1.1.1", &passes[4]));
    ck_assert(!turn_admission_handshake(admission, &passes[4])); /* but in all */
    config.n_allow_peers = 0;                                    /* a change: what was counted so leaves so */
    ck_assert(enter("10.1.1.1", &passes[5]));
    for (int i = 0; i < 6; i++)
        turn_admission_leave(admission, &passes[i]);
    ck_assert_uint_eq(turn_admission_count(admission), 0);
    ck_assert_uint_eq(turn_admission_handshakes(admission), 0);
    stop();
}
END_TEST

START_TEST(test_handshakes)
{
    struct turn_pass passes[6] = {0};
    start(100);
    for (int i = 0; i < 3; i++)
        ck_assert(enter("192.0.2.1", &passes[i]));
    for (int i = 3; i < 6; i++)
        ck_assert(enter("192.0.2.2", &passes[i]));
    ck_assert(turn_admission_handshake(admission, &passes[0]));
    ck_assert(turn_admission_handshake(admission, &passes[1]));
    ck_assert(!turn_admission_handshake(admission, &passes[2])); /* two of one address */
    ck_assert(turn_admission_handshake(admission, &passes[3]));
    turn_admission_handshake_done(admission, &passes[0]);
    turn_admission_handshake_done(admission, &passes[0]); /* once is enough */
    ck_assert(turn_admission_handshake(admission, &passes[2]));
    ck_assert(turn_admission_handshake(admission, &passes[4]));
    ck_assert(!turn_admission_handshake(admission, &passes[5])); /* four in all */
    turn_admission_leave(admission, &passes[4]);                 /* within its handshake */
    ck_assert(turn_admission_handshake(admission, &passes[5]));
    ck_assert_uint_eq(turn_admission_handshakes(admission), 4);
    stop();
}
END_TEST

static struct turn_pass *ended;

static void end(struct turn_pass *pass)
{
    ck_assert_ptr_null(ended);
    ended = pass;
    turn_admission_leave(admission, pass);
}

/* Within TLS and without an allocation: the oldest makes room. */
START_TEST(test_unproven)
{
    struct turn_pass passes[6] = {0};
    start(100);
    config.unproven_max = 2;
    for (int i = 0; i < 3; i++)
        ck_assert(enter("192.0.2.1", &passes[i]));
    for (int i = 3; i < 6; i++)
        ck_assert(enter("192.0.2.2", &passes[i]));
    turn_admission_unproven(admission, &passes[0], end);
    turn_admission_unproven(admission, &passes[1], end);
    turn_admission_proven(admission, &passes[0], true); /* has an allocation */
    turn_admission_unproven(admission, &passes[2], end);
    ck_assert_ptr_null(ended);
    turn_admission_unproven(admission, &passes[3], end);
    ck_assert_ptr_eq(ended, &passes[1]);
    turn_admission_proven(admission, &passes[0], false); /* and has lost it: that ends nobody */
    ck_assert_ptr_eq(ended, &passes[1]);
    turn_admission_proven(admission, &passes[5], true); /* one on plain TCP */
    turn_admission_proven(admission, &passes[5], false);
    turn_admission_leave(admission, &passes[2]);
    turn_admission_leave(admission, &passes[3]);
    ended = NULL;
    turn_admission_unproven(admission, &passes[4], end);
    ck_assert_ptr_null(ended);
    config.unproven_max = 1;
    ck_assert(enter("192.0.2.2", &passes[3]));
    turn_admission_leave(admission, &passes[4]);
    turn_admission_unproven(admission, &passes[3], end);
    ck_assert_ptr_eq(ended, &passes[0]);
    turn_admission_leave(admission, &passes[3]);
    turn_admission_leave(admission, &passes[5]);
    ck_assert_uint_eq(turn_admission_count(admission), 0);
    stop();
}
END_TEST

UNIT_MAIN("turn_admission", test_total, test_per_address, test_bridges_are_not_counted_by_address,
          test_handshakes, test_unproven)
