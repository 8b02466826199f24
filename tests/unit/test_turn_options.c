#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "edge/turn/turn_options.h"
#include "tests/unit/unit.h"

enum { ARGUMENTS_MAX = 40 };

static struct turn_options options;
static struct turn_config config;
static char *argv[ARGUMENTS_MAX];
static int argc;

/* Words separated by blanks, as a shell would hand them over; they may be written to. */
static enum turn_options_result parse(const char *line)
{
    static char copy[2000];
    snprintf(copy, sizeof copy, "turn %s", line);
    argc = 0;
    for (char *word = strtok(copy, " "); word && argc < ARGUMENTS_MAX - 1; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    turn_config_init(&config);
    return turn_options_parse(argc, argv, &options, &config);
}

static void done(void)
{
    turn_options_free(&options);
    turn_config_free(&config);
}

#define ENOUGH "--listen 127.0.0.1:3479 --relay-address 192.0.2.1 --realm r "

START_TEST(test_all_options)
{
    ck_assert_int_eq(
        parse("--user alice:apple --listen 127.0.0.1:3479 --listen [::1]:3480 --relay-address "
              "10.0.0.36,public=203.0.113.10 --relay-address 2001:db8::1 --relay-ports 30000-30999 --realm "
              "example.org --allow-peer 10.0.0.0/8 --deny-peer 10.1.0.0/16"),
        TURN_OPTIONS_OK);
    ck_assert_uint_eq(options.n_listen, 2);
    ck_assert_uint_eq(options.listen[1].at.port, 3480);
    ck_assert_uint_ge(options.workers, 1);
    ck_assert_uint_eq(config.n_relays, 2);
    ck_assert_uint_eq(config.relays[0].advertised.ip[0], 203);
    ck_assert(netaddr_equal_ip(&config.relays[1].bind, &config.relays[1].advertised));
    ck_assert_uint_eq(config.port_min, 30000);
    ck_assert_uint_eq(config.port_max, 30999);
    ck_assert_uint_eq(config.n_users, 1);
    ck_assert_uint_eq(config.n_allow_peers, 1);
    ck_assert_uint_eq(config.n_deny_peers, 1);
    ck_assert(!config.channels_rfc5766);
    done();
    ck_assert_int_eq(
        parse(ENOUGH "--workers 3 --channel-numbers rfc5766 --user-quota 5 --address-quota 6 --total-quota 7 "
                     "--allocation-kbps 4000 --user-kbps 9000 --challenge-limit 7 --binding authenticated "
                     "--gso off --software Stile --alternate-server 203.0.113.11 "
                     "--alternate-server [2001:db8::2]:3479 "
                     "--stats-interval 10 --log-level error"),
        TURN_OPTIONS_OK);
    ck_assert_uint_eq(options.workers, 3);
    ck_assert(config.channels_rfc5766);
    ck_assert(config.gso_off);
    ck_assert_uint_eq(config.n_alternates, 2);
    ck_assert_uint_eq(config.alternates[0].port, 0);
    ck_assert_uint_eq(config.alternates[1].port, 3479);
    ck_assert_uint_eq(config.quota_user, 5);
    ck_assert_uint_eq(config.quota_address, 6);
    ck_assert_uint_eq(config.quota_total, 7);
    ck_assert_uint_eq(config.allocation_kbps, 4000);
    ck_assert_uint_eq(config.user_kbps, 9000);
    ck_assert_uint_eq(config.challenge_limit, 7);
    ck_assert_int_eq(config.binding, TURN_BINDING_AUTHENTICATED);
    ck_assert_str_eq(config.software, "Stile");
    ck_assert(!log_enabled(LOG_WARNING));
    done();
}
END_TEST

START_TEST(test_password_leaves_the_process_list)
{
    struct turn_config expected;
    ck_assert_int_eq(parse(ENOUGH "--user alice:apple:pie --user=bob:banana"), TURN_OPTIONS_OK);
    for (int i = 0; i < argc; i++) {
        ck_assert_ptr_null(strstr(argv[i], "apple"));
        ck_assert_ptr_null(strstr(argv[i], "banana"));
    }
    turn_config_init(&expected);
    turn_config_set_realm(&expected, "r");
    turn_config_add_user(&expected, "alice", "apple:pie");
    turn_config_add_user(&expected, "bob", "banana");
    ck_assert_uint_eq(config.n_users, 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert_mem_eq(config.users[i].key, expected.users[i].key, STUN_KEY_MD5);
    turn_config_free(&expected);
    done();
}
END_TEST

START_TEST(test_password_from_file)
{
    char path[] = "/tmp/test_turn_options.XXXXXX", line[200];
    struct turn_config expected;
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, "apple\nsecond line\n", 18), 18);
    close(fd);
    snprintf(line, sizeof line, ENOUGH "--user alice:@%s", path);
    ck_assert_int_eq(parse(line), TURN_OPTIONS_OK);
    turn_config_init(&expected);
    turn_config_set_realm(&expected, "r");
    turn_config_add_user(&expected, "alice", "apple");
    ck_assert_mem_eq(config.users[0].key, expected.users[0].key, STUN_KEY_MD5);
    turn_config_free(&expected);
    done();
    unlink(path);
    ck_assert_int_eq(parse(line), TURN_OPTIONS_USAGE);
    done();
}
END_TEST

START_TEST(test_shared_secrets)
{
    char path[] = "/tmp/test_turn_options.XXXXXX", line[300];
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, "new\n\nold one\r\n", 14), 14);
    snprintf(line, sizeof line, ENOUGH "--shared-secret first --shared-secret @%s", path);
    ck_assert_int_eq(parse(line), TURN_OPTIONS_OK);
    ck_assert_uint_eq(config.n_shared_secrets, 3);
    ck_assert_str_eq(config.shared_secrets[0], "first");
    ck_assert_str_eq(config.shared_secrets[1], "new");
    ck_assert_str_eq(config.shared_secrets[2], "old one");
    for (int i = 0; i < argc; i++)
        ck_assert_ptr_null(strstr(argv[i], "first"));
    done();
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(parse(line), TURN_OPTIONS_USAGE); /* empty */
    done();
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(write(fd, "x\n", 2), 2);
    ck_assert_int_eq(parse(line), TURN_OPTIONS_USAGE); /* too many */
    done();
    close(fd);
    unlink(path);
    ck_assert_int_eq(parse(line), TURN_OPTIONS_USAGE);
    done();
}
END_TEST

START_TEST(test_password_algorithms)
{
    static const struct {
        const char *value;
        size_t n;
        enum stun_algorithm first;
    } rows[] = {{"sha256,md5", 2, STUN_ALGORITHM_SHA256},
                {"md5,sha256", 2, STUN_ALGORITHM_MD5},
                {"sha256", 1, STUN_ALGORITHM_SHA256},
                {"md5", 1, STUN_ALGORITHM_MD5}};
    char line[300];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(line, sizeof line, ENOUGH "--password-algorithms %s", rows[i].value);
        ck_assert_int_eq(parse(line), TURN_OPTIONS_OK);
        ck_assert_uint_eq(config.n_algorithms, rows[i].n);
        ck_assert_uint_eq(config.algorithms[0], rows[i].first);
        ck_assert(rows[i].n == 1 || config.algorithms[1] != config.algorithms[0]);
        done();
    }
}
END_TEST

START_TEST(test_any_address_is_every_address)
{
    ck_assert_int_eq(parse("--listen 0.0.0.0:3479 --relay-address 192.0.2.1 --realm r"), TURN_OPTIONS_OK);
    ck_assert_uint_ge(options.n_listen, 1);
    for (size_t i = 0; i < options.n_listen; i++) {
        ck_assert(!netaddr_is_any(&options.listen[i].at));
        ck_assert_uint_eq(options.listen[i].at.port, 3479);
    }
    done();
}
END_TEST

START_TEST(test_usage_errors)
{
    static const char *const lines[] = {
        "",
        "--listen 127.0.0.1:3479 --realm r",
        "--relay-address 192.0.2.1 --realm r",
        "--listen 127.0.0.1:3479 --relay-address 192.0.2.1",
        ENOUGH "--listen nowhere",
        ENOUGH "--relay-address 192.0.2.1:5",
        ENOUGH "--relay-address 192.0.2.2,private=10.0.0.1",
        ENOUGH "--relay-ports 5",
        ENOUGH "--relay-ports 30-20",
        ENOUGH "--user alice",
        ENOUGH "--user :x",
        ENOUGH "--shared-secret @/nonexistent/file",
        ENOUGH "--password-algorithms sha1",
        ENOUGH "--password-algorithms md5,md5",
        ENOUGH "--workers 0",
        ENOUGH "--workers 1000",
        ENOUGH "--workers two",
        ENOUGH "--allow-peer 10.0.0.1/8",
        ENOUGH "--channel-numbers all",
        ENOUGH "--binding maybe",
        ENOUGH "--log-level loud",
        ENOUGH "--colour red",
        ENOUGH "surplus",
    };
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ck_assert_msg(parse(lines[i]) == TURN_OPTIONS_USAGE, "%s", lines[i]);
        done();
    }
    ck_assert_int_eq(parse("--help"), TURN_OPTIONS_HELP);
    done();
}
END_TEST

UNIT_MAIN("turn_options", test_all_options, test_password_leaves_the_process_list, test_password_from_file,
          test_shared_secrets, test_password_algorithms, test_any_address_is_every_address, test_usage_errors)
