#include "edge/turn/turn_sieve.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "common/alarms.h"
#include "common/fatal.h"
#include "common/log.h"
#include "edge/turn/turn_allocation.h"
#include "edge/turn/turn_server.h"

enum {
    LOOK_EVERY = 4,   /* full bursts between two looks at the socket's buffer */
    CALM_SECONDS = 5, /* without pressure, then strangers' share doubles */
    NEW_CLIENTS = 64, /* bursts between two filters that differ in clients only */
    FAIR_PART = 4,    /* one packet in so many is strangers', or holding them back is no help */
    LEAF = 4,
    NODE = 2, /* instructions of the search tree */
};

uint32_t turn_sieve_place(const struct turn_sieve *s, const struct netaddr *client)
{
    const uint32_t *f = s->factors;
    uint32_t sum = f[5] + f[4] * client->port;
    for (size_t i = 0; i < netaddr_ip_len(client->family) / 4; i++) {
        const uint8_t *b = client->ip + 4 * i;
        sum += f[i] * ((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3]);
    }
    return sum >> (32 - TURN_SIEVE_BITS);
}

/* The program
 * ------------------------------------------------------------------------------------------------ */

struct program {
    struct sock_filter *out;
    size_t n;
    size_t tail; /* where leaves go on, with a word in A and the bit's number in X */
    size_t stranger;
};

static void put(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k)
{
    REQUIRE(p->n < BPF_MAXINSNS);
    p->out[p->n++] = (struct sock_filter){code, yes, no, k};
}

static void put_jump(struct program *p, size_t to)
{
    put(p, BPF_JMP | BPF_JA, 0, 0, (uint32_t)(to - p->n - 1));
}

/* The place of the packet's source, as turn_sieve_place has it; its word's number in A, its bit's in X. */
static void put_place(struct program *p, const struct turn_sieve *s)
{
    size_t words = netaddr_ip_len(s->local.family) / 4;
    uint32_t source = words == 1 ? 12 : 8;     /* offset in the IP header */
    put(p, BPF_LD | BPF_H | BPF_ABS, 0, 0, 0); /* the UDP header begins with the source port */
    put(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, s->factors[4]);
    put(p, BPF_ALU | BPF_ADD | BPF_K, 0, 0, s->factors[5]);
    for (uint32_t i = 0; i < words; i++) {
        put(p, BPF_ST, 0, 0, 0);
        put(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)SKF_NET_OFF + source + 4 * i);
        put(p, BPF_ALU | BPF_MUL | BPF_K, 0, 0, s->factors[i]);
        put(p, BPF_LDX | BPF_MEM, 0, 0, 0);
        put(p, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
    }
    put(p, BPF_ALU | BPF_RSH | BPF_K, 0, 0, 32 - TURN_SIEVE_BITS);
    put(p, BPF_ST, 0, 0, 0);
    put(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, 31);
    put(p, BPF_MISC | BPF_TAX, 0, 0, 0);
    put(p, BPF_LD | BPF_MEM, 0, 0, 0);
    put(p, BPF_ALU | BPF_RSH | BPF_K, 0, 0, 5);
}

/* A search tree over the words of bits that are not zero: numbers[0..n). */
static void put_tree(struct program *p, const uint32_t *bits, const uint16_t *numbers, size_t n)
{
    if (n == 1) {
        put(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, numbers[0]);
        put_jump(p, p->stranger);
        put(p, BPF_LD | BPF_IMM, 0, 0, bits[numbers[0]]);
        put_jump(p, p->tail);
        return;
    }
    size_t left = n / 2;
    put(p, BPF_JMP | BPF_JGE | BPF_K, 0, 1, numbers[left]);
    put(p, BPF_JMP | BPF_JA, 0, 0,
        (uint32_t)(LEAF * left + NODE * (left - 1))); /* jumps of conditions are short */
    put_tree(p, bits, numbers, left);
    put_tree(p, bits, numbers + left, n - left);
}

size_t turn_sieve_program(const struct turn_sieve *s, const uint32_t bits[TURN_SIEVE_WORDS],
                          struct sock_filter out[BPF_MAXINSNS])
{
    uint16_t numbers[TURN_SIEVE_WORDS];
    struct program p = {.out = out};
    size_t n = 0;
    for (uint16_t i = 0; i < TURN_SIEVE_WORDS; i++)
        if (bits[i])
            numbers[n++] = i;
    put_place(&p, s);
    p.tail = p.n + (n ? LEAF * n + NODE * (n - 1) : 1);
    p.stranger = p.tail + 2;
    if (n)
        put_tree(&p, bits, numbers, n);
    else
        put_jump(&p, p.stranger);
    REQUIRE(p.n == p.tail);
    put(&p, BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0);
    put(&p, BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1);
    put(&p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
    put(&p, BPF_JMP | BPF_JSET | BPF_K, 1, 0, (1U << s->level) - 1);
    put(&p, BPF_RET | BPF_K, 0, 0, UINT32_MAX);
    put(&p, BPF_RET | BPF_K, 0, 0, 0);
    return p.n;
}

/* The socket
 * ------------------------------------------------------------------------------------------------- */

/* Where filters are made. */
static uint32_t words[TURN_SIEVE_WORDS];
static struct sock_filter program[BPF_MAXINSNS];

static bool meminfo(const struct turn_sieve *s, uint32_t info[SK_MEMINFO_VARS])
{
    socklen_t n = SK_MEMINFO_VARS * sizeof *info;
    return getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &n) == 0 && n == SK_MEMINFO_VARS * sizeof *info;
}

void turn_sieve_init(struct turn_sieve *s, int fd, const struct netaddr *local)
{
    uint32_t info[SK_MEMINFO_VARS];
    int unused = 0;
    *s = (struct turn_sieve){.fd = fd, .local = *local};
    memset(program, 0, sizeof program); /* resident from the start: a flood takes no memory */
    memset(words, 0, sizeof words);
    setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    if (meminfo(s, info))
        s->drops = info[SK_MEMINFO_DROPS];
}

/* The bits of all clients with an allocation that come to this socket. */
static void mark_clients(const struct turn_sieve *s, const struct turn_server *server)
{
    memset(words, 0, sizeof words);
    for (struct hashmap_node *at = hashmap_walk(&server->allocations, NULL); at;
         at = hashmap_walk(&server->allocations, at)) {
        const struct turn_client *c = &hashmap_entry(at, struct turn_allocation, node)->client;
        if (turn_transport_is_stream(c->transport) || !netaddr_equal(&c->server, &s->local))
            continue;
        uint32_t place = turn_sieve_place(s, &c->address);
        words[place / 32] |= 1U << place % 32;
    }
}

static void sieve_set(struct turn_sieve *s, struct turn_server *server, unsigned level)
{
    char text[NETADDR_TEXT];
    int unused = 0;
    if (s->level == 0)
        turn_server_random(server, s->factors, sizeof s->factors);
    netaddr_print(&s->local, text);
    if ((level == 0) != (s->level == 0))
        log_event(LOG_WARNING, level ? "Flood Held Back" : "Flood Over", "address=%s", text);
    if (level == 0)
        alarm_clear(ALARM_FLOOD, text);
    else if (s->level == 0)
        alarm_raise(ALARM_FLOOD, text, "");
    server->counters.events[TURN_EVENT_floods] += level && !s->level;
    s->level = level;
    s->stale = false;
    s->bursts = 0;
    if (level == 0) {
        setsockopt(s->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
        return;
    }
    mark_clients(s, server);
    struct sock_fprog filter = {.filter = program};
    filter.len = (unsigned short)turn_sieve_program(s, words, program);
    if (setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        log_event(LOG_ERR, "Flood Not Held Back", "address=%s reason=\"%s\"", text, strerror(errno));
}

static bool is_client(const struct turn_server *server, const struct netaddr *from, unsigned listener)
{
    struct turn_key plain = turn_key_udp(from, listener), within = turn_key_dtls(from, listener);
    return turn_allocation_find(server, &plain) || turn_allocation_find(server, &within);
}

static bool is_from_strangers(const struct turn_server *server, const struct turn_sieve_burst *b)
{
    unsigned strangers = 0;
    for (unsigned i = 0; i < b->n; i++) {
        struct netaddr from;
        strangers +=
            netaddr_from_sockaddr((const struct sockaddr *)&b->from[i], sizeof b->from[i], &from) != ERR_OK ||
            !is_client(server, &from, b->listener);
    }
    return strangers * FAIR_PART >= b->n;
}

void turn_sieve_feel(struct turn_sieve *s, struct turn_server *server, const struct turn_sieve_burst *burst)
{
    uint32_t info[SK_MEMINFO_VARS];
    s->bursts = burst->full ? s->bursts + 1 : 0;
    s->drained |= !burst->full;
    if (s->stale && s->level && s->bursts >= NEW_CLIENTS)
        sieve_set(s, server, s->level);
    if (!burst->full || s->bursts % LOOK_EVERY || !meminfo(s, info) ||
        info[SK_MEMINFO_RMEM_ALLOC] < info[SK_MEMINFO_RCVBUF] / 4 || !is_from_strangers(server, burst))
        return;
    /* What came before the filter has to be taken off first: stricter only if more queues up all the same. */
    bool more = s->drained || info[SK_MEMINFO_RMEM_ALLOC] > s->queued;
    s->queued = info[SK_MEMINFO_RMEM_ALLOC];
    s->strict = server->now;
    if (s->level > 0 && (!more || s->level == TURN_SIEVE_LEVEL_MAX))
        return;
    /* A buffer that is full already has lost something. */
    unsigned step =
        info[SK_MEMINFO_RMEM_ALLOC] > info[SK_MEMINFO_RCVBUF] / 8 * 7 ? 2 * TURN_SIEVE_STEP : TURN_SIEVE_STEP;
    sieve_set(s, server, s->level + step < TURN_SIEVE_LEVEL_MAX ? s->level + step : TURN_SIEVE_LEVEL_MAX);
    s->drained = false;
}

void turn_sieve_tick(struct turn_sieve *s, struct turn_server *server)
{
    uint32_t info[SK_MEMINFO_VARS];
    if (meminfo(s, info)) {
        server->counters.drops[TURN_DROP_kernel] += info[SK_MEMINFO_DROPS] - s->drops;
        s->drops = info[SK_MEMINFO_DROPS];
    }
    if (s->level == 0)
        return;
    bool calm = server->now - s->strict >= CALM_SECONDS;
    s->strict = calm ? server->now : s->strict;
    sieve_set(s, server, s->level - calm);
}
