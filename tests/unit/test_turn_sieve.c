/* The filter that holds floods back: interpreted here, and on real sockets. */
#include "edge/turn/turn_sieve.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/unit/turn_fixture.h"

static struct turn_sieve sieve;
static uint32_t words[TURN_SIEVE_WORDS];
static struct sock_filter program[BPF_MAXINSNS];
static size_t size;

static void make(const char *local, unsigned level)
{
    memset(words, 0, sizeof words);
    sieve = (struct turn_sieve){.fd = -1, .level = level};
    sieve.local = address(local);
    for (size_t i = 0; i < TURN_SIEVE_FACTORS; i++)
        sieve.factors[i] = (uint32_t)(0x9e3779b9U * (i + 1)) | 1;
}

static void mark(const struct netaddr *a)
{
    uint32_t place = turn_sieve_place(&sieve, a);
    ck_assert_uint_lt(place, 1U << TURN_SIEVE_BITS);
    words[place / 32] |= 1U << place % 32;
}

static uint32_t load(uint32_t k, const struct netaddr *from, uint32_t drawn)
{
    uint32_t first = from->family == AF_INET ? 12 : 8, v;
    if (k == 0)
        return from->port;
    if (k == (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM))
        return drawn;
    ck_assert_uint_ge(k, (uint32_t)SKF_NET_OFF + first);
    memcpy(&v, from->ip + (k - (uint32_t)SKF_NET_OFF - first), sizeof v);
    return ntohl(v);
}

/* Whether a packet from there passes when the kernel draws this number. */
static bool passes(const struct netaddr *from, uint32_t drawn)
{
    uint32_t a = 0, x = 0, memory[16] = {0};
    for (size_t pc = 0; pc < size; pc++) {
        const struct sock_filter *i = &program[pc];
        switch (i->code) {
        case BPF_LD | BPF_H | BPF_ABS:
        case BPF_LD | BPF_W | BPF_ABS:
            a = load(i->k, from, drawn);
            break;
        case BPF_LD | BPF_IMM:
            a = i->k;
            break;
        case BPF_LD | BPF_MEM:
            a = memory[i->k];
            break;
        case BPF_LDX | BPF_MEM:
            x = memory[i->k];
            break;
        case BPF_ST:
            memory[i->k] = a;
            break;
        case BPF_MISC | BPF_TAX:
            x = a;
            break;
        case BPF_ALU | BPF_MUL | BPF_K:
            a *= i->k;
            break;
        case BPF_ALU | BPF_ADD | BPF_K:
            a += i->k;
            break;
        case BPF_ALU | BPF_ADD | BPF_X:
            a += x;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            a >>= i->k;
            break;
        case BPF_ALU | BPF_RSH | BPF_X:
            a >>= x;
            break;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += a & i->k ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k != 0;
        default:
            ck_abort_msg("instruction %zu has code %#x", pc, i->code);
        }
    }
    ck_abort_msg("the program has no end");
    return false;
}

static struct netaddr stranger(unsigned i, bool six)
{
    struct netaddr a = address(six ? "[2001:db8:7::1]:1" : "198.51.100.1:1");
    a.ip[six ? 12 : 1] = (uint8_t)(i >> 8);
    a.ip[six ? 13 : 2] = (uint8_t)i;
    a.port = (uint16_t)(1024 + i * 7);
    return a;
}

static struct netaddr client(unsigned i, bool six)
{
    struct netaddr a = address(six ? "[2001:db8:9::1]:1" : "192.0.2.1:1");
    a.ip[six ? 15 : 3] = (uint8_t)i;
    a.port = (uint16_t)(40000 + i / 7);
    return a;
}

/* Clients pass whatever is drawn; strangers when the drawn number's last bits are zero, or by a client's bit.
 */
static void judge(const char *local, unsigned clients, unsigned by_chance_most)
{
    bool six = strchr(local, '[');
    unsigned chance = 0;
    make(local, 3);
    for (unsigned i = 0; i < clients; i++) {
        struct netaddr a = client(i, six);
        mark(&a);
    }
    size = turn_sieve_program(&sieve, words, program);
    ck_assert_uint_le(size, BPF_MAXINSNS);
    for (unsigned i = 0; i < clients; i++) {
        struct netaddr a = client(i, six);
        ck_assert(passes(&a, 5));
    }
    for (unsigned i = 0; i < 1000; i++) {
        struct netaddr a = stranger(i, six);
        ck_assert(passes(&a, 8) && passes(&a, 0));
        chance += passes(&a, 7);
    }
    ck_assert_uint_le(chance, by_chance_most);
}

START_TEST(test_clients_pass_and_few_strangers)
{
    judge("203.0.113.10:3478", 0, 0);
    judge("203.0.113.10:3478", 1, 5);
    judge("203.0.113.10:3478", 20, 20);
    judge("[2001:db8::10]:3478", 20, 20);
}
END_TEST

/* Ten thousand clients still fit into what the kernel takes, and strangers are still told apart. */
START_TEST(test_many_clients)
{
    judge("203.0.113.10:3478", 1000, 150);
    judge("[2001:db8::10]:3478", 1000, 150);
    judge("203.0.113.10:3478", 10000, 700);
    memset(words, 0xff, sizeof words);
    size = turn_sieve_program(&sieve, words, program);
    ck_assert_uint_le(size, BPF_MAXINSNS);
    struct netaddr a = stranger(1, false);
    ck_assert(passes(&a, 7));
}
END_TEST

static int bound(const char *text, struct netaddr *out)
{
    struct netaddr a = address(text);
    int fd = sock_bind_udp(&a, false);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(sock_local(fd, out), ERR_OK);
    return fd;
}

static void send_from(int fd, const struct netaddr *to, unsigned n)
{
    struct sockaddr_storage sa;
    socklen_t len = netaddr_to_sockaddr(to, &sa);
    for (unsigned i = 0; i < n; i++)
        ck_assert_int_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
}

static unsigned arrived(int fd)
{
    char byte;
    unsigned n = 0;
    while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
        n++;
    return n;
}

/* The kernel takes the program and means the same by it. */
START_TEST(test_on_sockets)
{
    static const char *const loopback[] = {"127.0.0.1", "::1"};
    for (unsigned six = 0; six < 2; six++) {
        struct netaddr local, known, unknown;
        int fd = bound(loopback[six], &local), friend = bound(loopback[six], &known),
            other = bound(loopback[six], &unknown);
        make("203.0.113.10:3478", 2);
        sieve.local = local;
        mark(&known);
        for (uint32_t full = 0; full < 2; full++) { /* few words, then all but the stranger's */
            if (full) {
                uint32_t place = turn_sieve_place(&sieve, &unknown);
                memset(words, 0xff, sizeof words);
                words[place / 32] &= ~(1U << place % 32);
            }
            struct sock_fprog filter = {.filter = program};
            filter.len = (unsigned short)turn_sieve_program(&sieve, words, program);
            ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), 0);
            send_from(friend, &local, 100);
            if (!full || turn_sieve_place(&sieve, &known) != turn_sieve_place(&sieve, &unknown))
                ck_assert_uint_eq(arrived(fd), 100);
            send_from(other, &local, 200);
            unsigned n = arrived(fd);
            ck_assert_uint_gt(n, 15); /* of 200 one in four, give or take five standard deviations */
            ck_assert_uint_lt(n, 85);
        }
        /* a worker that comes after one that was killed in a flood begins without */
        turn_sieve_init(&sieve, fd, &local);
        send_from(other, &local, 100);
        ck_assert_uint_eq(arrived(fd), 100);
        close(fd);
        close(friend);
        close(other);
    }
}
END_TEST

/* A full burst, all of it from there. */
static void feel(struct fixture *f, const struct netaddr *from)
{
    struct sockaddr_in6 senders[64];
    struct sockaddr_storage sa;
    netaddr_to_sockaddr(from, &sa);
    for (size_t i = 0; i < 64; i++)
        memcpy(&senders[i], &sa, sizeof senders[i]);
    turn_sieve_feel(&sieve, f->server, &(struct turn_sieve_burst){senders, 64, 0, true});
}

/* A client that sends more than is taken off passes every filter: making it stricter would shut out those who
 * want to join, for as long as the client likes. */
START_TEST(test_client_that_floods)
{
    static struct fixture f;
    struct netaddr local, guest;
    int size_wanted = 1 << 16;
    fixture_start(&f, "");
    int fd = bound("127.0.0.1", &local), from = bound("127.0.0.1", &guest);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size_wanted, sizeof size_wanted);
    turn_sieve_init(&sieve, fd, &local);
    f.client.address = guest;
    f.client.key = turn_key_udp(&guest, 0);
    ck_assert_int_eq(fixture_allocate(&f), 0);
    send_from(from, &local, 80);
    for (unsigned i = 0; i < 40; i++)
        feel(&f, &guest);
    ck_assert_uint_eq(sieve.level, 0);
    struct netaddr other = address("192.0.2.9:7");
    for (unsigned i = 0; i < 4; i++)
        feel(&f, &other);
    ck_assert_uint_gt(sieve.level, 0);
    unsigned level = sieve.level; /* nor is it kept up by him once the strangers have gone */
    for (unsigned i = 0; i < 6; i++) {
        feel(&f, &guest);
        f.server->now++;
        turn_sieve_tick(&sieve, f.server);
    }
    ck_assert_uint_lt(sieve.level, level);
    close(fd);
    close(from);
    fixture_stop(&f);
}
END_TEST

/* A socket that fills gets its filter before it overflows, and loses it when it is calm. */
START_TEST(test_comes_and_goes)
{
    static struct fixture f;
    struct netaddr local, unknown;
    int size_wanted = 1 << 16;
    fixture_start(&f, "");
    int fd = bound("127.0.0.1", &local), other = bound("127.0.0.1", &unknown);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size_wanted, sizeof size_wanted);
    turn_sieve_init(&sieve, fd, &local);
    send_from(other, &local, 10);
    for (unsigned i = 0; i < 8; i++)
        feel(&f, &unknown);
    ck_assert_uint_eq(sieve.level, 0); /* much at once is no flood as long as it is taken off */
    send_from(other, &local, 70);
    for (unsigned i = 0; i < 4; i++)
        feel(&f, &unknown);
    ck_assert_uint_eq(sieve.level, TURN_SIEVE_STEP);
    for (unsigned i = 0; i < 40; i++)
        feel(&f, &unknown);
    ck_assert_uint_eq(sieve.level, TURN_SIEVE_STEP); /* it does not grow any more */
    send_from(other, &local, 40);
    for (unsigned i = 0; i < 4; i++)
        feel(&f, &unknown);
    ck_assert_uint_eq(sieve.level, 2 * TURN_SIEVE_STEP);
    ck_assert_uint_eq(f.server->counters.events[TURN_EVENT_floods], 1);
    for (unsigned i = 0; i < 5 * 2 * TURN_SIEVE_STEP; i++) {
        f.server->now++;
        turn_sieve_tick(&sieve, f.server);
    }
    ck_assert_uint_eq(sieve.level, 0);
    ck_assert_uint_gt(f.server->counters.drops[TURN_DROP_kernel], 0);
    arrived(fd);
    send_from(other, &local, 10);
    ck_assert_uint_eq(arrived(fd), 10);
    close(fd);
    close(other);
    fixture_stop(&f);
}
END_TEST

UNIT_MAIN("turn_sieve", test_clients_pass_and_few_strangers, test_many_clients, test_on_sockets,
          test_comes_and_goes, test_client_that_floods)
