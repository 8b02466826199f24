/* Several workers on one memory: here several attachments in one process, with different indexes. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/turn/turn_shared.h"
#include "tests/unit/unit.h"

static struct turn_config config;
static int fd;
static const struct turn_seat no_seat;

static void make_memory(void)
{
    struct netaddr a, b;
    netaddr_parse("203.0.113.10", 0, &a);
    netaddr_parse("203.0.113.11", 0, &b);
    turn_config_init(&config);
    config.port_min = 30000;
    config.port_max = 30099;
    config.worker_count = 2;
    turn_config_add_relay(&config, &a, &a);
    turn_config_add_relay(&config, &b, &b);
    fd = turn_shared_create(&config);
    ck_assert_int_ge(fd, 0);
}

static struct turn_shared *attach(unsigned index)
{
    struct turn_shared *s;
    config.worker_index = index;
    ck_assert_int_eq(turn_shared_attach(fd, &config, &s), ERR_OK);
    return s;
}

static void end(struct turn_shared *a, struct turn_shared *b)
{
    turn_shared_detach(a);
    turn_shared_detach(b);
    close(fd);
    turn_config_free(&config);
}

START_TEST(test_ports_are_exclusive)
{
    make_memory();
    struct turn_shared *a = attach(0), *b = attach(1);
    ck_assert(turn_shared_claim_port(a, 0, 30000));
    ck_assert(!turn_shared_claim_port(a, 0, 30000));
    ck_assert(!turn_shared_claim_port(b, 0, 30000));
    ck_assert(turn_shared_claim_port(b, 1, 30000));
    ck_assert(!turn_shared_claim_port(b, 0, 29999));
    ck_assert(!turn_shared_claim_port(b, 0, 30100));
    ck_assert(turn_shared_port_in_use(b, 0, 30000));
    ck_assert_uint_eq(turn_shared_ports_used(b, 0), 1);
    turn_shared_release_port(a, 0, 30000);
    ck_assert(!turn_shared_port_in_use(b, 0, 30000));
    ck_assert(turn_shared_claim_port(b, 0, 30000));
    end(a, b);
}
END_TEST

START_TEST(test_reservation_goes_to_another_worker)
{
    size_t relay = 9;
    uint16_t port = 0;
    make_memory();
    struct turn_shared *a = attach(0), *b = attach(1);
    ck_assert(turn_shared_claim_port(a, 1, 30001));
    ck_assert_int_eq(turn_shared_reserve(a, 1, 30001, 77777, 5, &no_seat, 130), ERR_OK);
    ck_assert(!turn_shared_claim_port(b, 1, 30001));
    ck_assert(!turn_shared_port_in_use(b, 1, 30001)); /* nobody listens there yet */
    ck_assert_int_eq(turn_shared_redeem(b, 77778, 5, 100, &relay, &port), ERR_NOT_FOUND);
    ck_assert_int_eq(turn_shared_redeem(b, 77777, 6, 100, &relay, &port), ERR_NOT_FOUND);
    ck_assert_int_eq(turn_shared_redeem(b, 77777, 5, 130, &relay, &port), ERR_NOT_FOUND);
    ck_assert_int_eq(turn_shared_redeem(b, 77777, 5, 129, &relay, &port), ERR_OK);
    ck_assert_uint_eq(relay, 1);
    ck_assert_uint_eq(port, 30001);
    ck_assert_int_eq(turn_shared_redeem(b, 77777, 5, 100, &relay, &port), ERR_NOT_FOUND);
    turn_shared_expire(a, 200); /* it is no longer a's */
    ck_assert(turn_shared_port_in_use(a, 1, 30001));
    turn_shared_release_port(b, 1, 30001);
    ck_assert_uint_eq(turn_shared_ports_used(a, 1), 0);
    end(a, b);
}
END_TEST

/* A worker that was taken over writes what it likes: it cannot make the memory smaller, nor lead another one
 * beyond it. */
START_TEST(test_hostile_worker)
{
    enum { RELAY = 30 /* where in a reservation */ };
    uint64_t token = 0x8badf00d12345678;
    size_t relay;
    uint16_t port;
    struct stat st;
    make_memory();
    struct turn_shared *a = attach(0), *b = attach(1);
    ck_assert_int_ne(ftruncate(fd, 0), 0);
    ck_assert(turn_shared_claim_port(a, 1, 30001));
    ck_assert_int_eq(turn_shared_reserve(a, 1, 30001, token, 5, &no_seat, 130), ERR_OK);
    ck_assert_int_eq(fstat(fd, &st), 0);
    uint8_t *memory = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint8_t *at = memmem(memory, (size_t)st.st_size, &token, sizeof token);
    ck_assert(memory != MAP_FAILED && at && at[RELAY] == 1);
    at[RELAY] = 200;
    ck_assert_int_eq(turn_shared_redeem(b, token, 5, 100, &relay, &port), ERR_NOT_FOUND);
    at[RELAY] = 1;
    ck_assert_int_eq(turn_shared_redeem(b, token, 5, 100, &relay, &port), ERR_OK);
    munmap(memory, (size_t)st.st_size);
    end(a, b);
}
END_TEST

START_TEST(test_reservation_expires_and_table_fills)
{
    make_memory();
    struct turn_shared *a = attach(0), *b = attach(1);
    ck_assert(turn_shared_claim_port(a, 0, 30001));
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30001, 1234567, 5, &no_seat, 130), ERR_OK);
    turn_shared_expire(b, 500); /* only its maker clears it */
    turn_shared_expire(a, 129);
    ck_assert_uint_eq(turn_shared_ports_used(a, 0), 1);
    turn_shared_expire(a, 130);
    ck_assert_uint_eq(turn_shared_ports_used(a, 0), 0);
    ck_assert(turn_shared_claim_port(a, 0, 30001));
    for (uint64_t i = 0; i < TURN_RESERVATIONS; i++)
        ck_assert_int_eq(
            turn_shared_reserve(a, 0, 30001, 1000 + i, 5 + i / TURN_RESERVATIONS_USER, &no_seat, 130),
            ERR_OK);
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30001, 9999, 99, &no_seat, 130), ERR_FULL);
    end(a, b);
}
END_TEST

/* A user who reserves and never comes leaves slots for others, and gets its own back. */
START_TEST(test_reservations_of_one_user)
{
    make_memory();
    struct turn_shared *a = attach(0), *b = attach(1);
    for (uint64_t i = 0; i < TURN_RESERVATIONS_USER; i++)
        ck_assert_int_eq(turn_shared_reserve(i % 2 ? a : b, 0, 30001, 1000 + i, 5, &no_seat, 130), ERR_OK);
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30001, 9999, 5, &no_seat, 130), ERR_FULL);
    ck_assert_int_eq(turn_shared_reserve(b, 0, 30001, 9999, 5, &no_seat, 130), ERR_FULL);
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30001, 9998, 6, &no_seat, 130), ERR_OK);
    turn_shared_expire(b, 130);
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30001, 9999, 5, &no_seat, 130), ERR_OK);
    end(a, b);
}
END_TEST

/* A reserved port has a seat, whichever way it ends. */
START_TEST(test_reservation_counts)
{
    struct turn_seat seat, more;
    struct netaddr client;
    size_t relay;
    uint16_t port;
    make_memory();
    netaddr_parse("192.0.2.1", 0, &client);
    config.quota_user = 1;
    struct turn_shared *a = attach(0), *b = attach(1);
    ck_assert_int_eq(turn_shared_sit(a, &config, 5, &client, &seat), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30001, 4711, 5, &seat, 130), ERR_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, 5, &client, &more), TURN_QUOTA_USER);
    ck_assert_int_eq(turn_shared_redeem(b, 4711, 5, 100, &relay, &port), ERR_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, 5, &client, &seat), TURN_QUOTA_OK);
    turn_shared_leave(b, &seat);
    ck_assert_int_eq(turn_shared_sit(a, &config, 5, &client, &seat), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30002, 4712, 5, &seat, 130), ERR_OK);
    turn_shared_expire(a, 130);
    ck_assert_uint_eq(turn_shared_total(a), 0);
    ck_assert_int_eq(turn_shared_sit(b, &config, 5, &client, &more), TURN_QUOTA_OK);
    /* a worker that was started again has no seats to give back */
    turn_shared_detach(b);
    b = attach(1);
    turn_shared_leave(b, &more);
    ck_assert_uint_eq(turn_shared_total(b), 0);
    ck_assert_int_eq(turn_shared_sit(b, &config, 5, &client, &more), TURN_QUOTA_OK);
    end(a, b);
}
END_TEST

START_TEST(test_successor_releases_what_was_left)
{
    struct turn_seat seat;
    struct netaddr client;
    make_memory();
    netaddr_parse("192.0.2.1", 0, &client);
    config.quota_user = 2;
    struct turn_shared *a = attach(0), *b = attach(1);
    uint64_t user = turn_shared_user(a, "alice");
    ck_assert_uint_eq(user, turn_shared_user(b, "alice"));
    ck_assert_int_eq(turn_shared_sit(a, &config, user, &client, &seat), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, user, &client, &seat), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, user, &client, &seat), TURN_QUOTA_USER);
    ck_assert(turn_shared_claim_port(a, 0, 30000));
    ck_assert(turn_shared_claim_port(b, 0, 30001));
    ck_assert(turn_shared_claim_port(a, 0, 30002));
    ck_assert_int_eq(turn_shared_reserve(a, 0, 30002, 4711, 5, &no_seat, 130), ERR_OK);
    turn_shared_detach(a); /* as if it had been killed */
    a = attach(0);
    ck_assert_uint_eq(turn_shared_total(a), 1);
    ck_assert_uint_eq(turn_shared_ports_used(a, 0), 1);
    ck_assert(!turn_shared_claim_port(a, 0, 30001));
    ck_assert(turn_shared_claim_port(a, 0, 30000));
    ck_assert(turn_shared_claim_port(a, 0, 30002));
    ck_assert_int_eq(turn_shared_sit(a, &config, user, &client, &seat), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(a, &config, user, &client, &seat), TURN_QUOTA_USER);
    end(a, b);
}
END_TEST

START_TEST(test_quotas_over_workers)
{
    struct turn_seat seats[8], more;
    struct netaddr one, two, six, same_net;
    make_memory();
    netaddr_parse("192.0.2.1", 0, &one);
    netaddr_parse("192.0.2.2", 0, &two);
    netaddr_parse("2001:db8::1", 0, &six);
    netaddr_parse("2001:db8::2", 0, &same_net);
    config.quota_total = 5;
    config.quota_address = 2;
    struct turn_shared *a = attach(0), *b = attach(1);
    ck_assert_int_eq(turn_shared_sit(a, &config, 11, &one, &seats[0]), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, 13, &one, &seats[1]), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, 13, &one, &more), TURN_QUOTA_ADDRESS);
    ck_assert_int_eq(turn_shared_sit(b, &config, 13, &two, &seats[2]), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(a, &config, 13, &six, &seats[3]), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(a, &config, 13, &same_net, &seats[4]), TURN_QUOTA_OK);
    ck_assert_int_eq(turn_shared_sit(a, &config, 13, &two, &more), TURN_QUOTA_TOTAL);
    config.quota_total = 0;
    ck_assert_int_eq(turn_shared_sit(a, &config, 13, &same_net, &more), TURN_QUOTA_ADDRESS); /* one /64 */
    turn_shared_leave(a, &seats[3]);
    ck_assert_int_eq(turn_shared_sit(b, &config, 13, &same_net, &seats[3]), TURN_QUOTA_OK);
    ck_assert_uint_eq(turn_shared_total(a), 5);
    struct netcidr bridges; /* a call bridge allocates for all its guests from one address */
    netcidr_parse("192.0.2.1", &bridges);
    ck_assert_int_eq(turn_shared_sit(b, &config, 13, &one, &more), TURN_QUOTA_ADDRESS);
    ck_assert_int_eq(turn_config_add_cidr(&config.allow_peers, &config.n_allow_peers, &bridges), ERR_OK);
    ck_assert_int_eq(turn_shared_sit(b, &config, 13, &one, &more), TURN_QUOTA_OK);
    end(a, b);
}
END_TEST

/* Names that come and go (ephemeral credentials) use the slots again. */
START_TEST(test_slots_are_used_again)
{
    struct netaddr client;
    make_memory();
    netaddr_parse("192.0.2.1", 0, &client);
    config.quota_user = 1;
    struct turn_shared *a = attach(0), *b = attach(1);
    for (unsigned i = 0; i < 300000; i++) {
        char name[32];
        struct turn_seat seat;
        snprintf(name, sizeof name, "%u:guest", i);
        ck_assert_int_eq(turn_shared_sit(a, &config, turn_shared_user(a, name), &client, &seat),
                         TURN_QUOTA_OK);
        turn_shared_leave(a, &seat);
    }
    ck_assert_uint_eq(turn_shared_total(a), 0);
    end(a, b);
}
END_TEST

START_TEST(test_other_sizes_do_not_fit)
{
    struct turn_shared *s;
    make_memory();
    config.port_max++;
    ck_assert_int_eq(turn_shared_attach(fd, &config, &s), ERR_CONFIG);
    config.port_max--;
    config.worker_count = 3;
    ck_assert_int_eq(turn_shared_attach(fd, &config, &s), ERR_CONFIG);
    close(fd);
    turn_config_free(&config);
}
END_TEST

UNIT_MAIN("turn_shared", test_ports_are_exclusive, test_reservation_goes_to_another_worker,
          test_reservation_expires_and_table_fills, test_reservations_of_one_user, test_reservation_counts,
          test_successor_releases_what_was_left, test_quotas_over_workers, test_slots_are_used_again,
          test_other_sizes_do_not_fit, test_hostile_worker)
