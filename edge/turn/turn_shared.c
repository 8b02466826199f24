#include "edge/turn/turn_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/siphash.h"

enum {
    SHARED_MAGIC = 0x7e111e02,
    PORT_FREE = 0,       /* otherwise the worker's index + 1 … */
    PORT_RESERVED = 255, /* … or this; */
    PORT_TCP = 0x80,     /* beside the index: a TCP relay's */
    TOKEN_FREE = 0,
    TOKEN_BUSY = 1, /* somebody is writing or taking it */
    SLOTS = 65536,
    PROBES = 32,
};

struct reservation {
    _Atomic uint64_t token;
    _Atomic uint64_t user;
    struct turn_seat seat;
    uint32_t expires;
    uint16_t port;
    uint8_t relay, worker;
};

/* The keys of one kind of seat; the counts lie behind, one row of SLOTS per worker. */
struct seats {
    _Atomic uint64_t
        keys[SLOTS]; /* 0: never used. A slot whose counts are all 0 may be taken for another key */
};

struct shared_memory {
    uint32_t magic, workers, n_relays, port_min, port_max;
    uint64_t seed[2];
    _Atomic uint64_t allocations[TURN_WORKERS_MAX];
    _Atomic uint32_t ports_used[TURN_RELAYS_MAX];
    struct reservation reservations[TURN_RESERVATIONS];
    struct seats users, addresses;
    _Atomic uint64_t buckets[SLOTS][TURN_DIRECTIONS]; /* of users, by their slot */
    struct turn_connection_table connections;
    /* Behind it: user counts, address counts and connection counts (by user), workers × SLOTS each; buckets
     * of TCP allocations, by the port of their relay; ports, one byte each, n_relays × range. */
};

struct turn_shared {
    struct shared_memory *memory;
    size_t size;
    uint32_t worker;
    size_t range; /* ports per relay address */
    _Atomic uint32_t *user_counts, *address_counts, *connection_counts;
    size_t n_ports; /* of all relay addresses */
    _Atomic uint64_t (*port_buckets)[TURN_DIRECTIONS];
    _Atomic uint8_t *ports;
};

_Static_assert(TURN_WORKERS_MAX < PORT_TCP - 1, "an index and PORT_TCP in a byte, and PORT_RESERVED beside");
/* A slot that goes to another user keeps its bucket: what its last user spent is forgotten within the burst.
 */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_CHAR_LOCK_FREE == 2, "processes share these");

static size_t range_of(const struct turn_config *c)
{
    return (size_t)c->port_max - c->port_min + 1;
}

static size_t ports_of(const struct turn_config *c)
{
    return c->n_relays * range_of(c);
}

static size_t counts_size(const struct turn_config *c)
{
    return (size_t)c->worker_count * SLOTS * sizeof(uint32_t);
}

/* The counts begin on a page of their own, so that one worker's can be given back as a whole. */
static size_t head_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (sizeof(struct shared_memory) + page - 1) / page * page;
}

static size_t size_of(const struct turn_config *c)
{
    return head_size() + 3 * counts_size(c) + ports_of(c) * (TURN_DIRECTIONS * sizeof(uint64_t) + 1);
}

static int memory_begin(struct shared_memory *m, const struct turn_config *c)
{
    m->workers = c->worker_count;
    m->n_relays = (uint32_t)c->n_relays;
    m->port_min = c->port_min;
    m->port_max = c->port_max;
    if (getrandom(m->seed, sizeof m->seed, 0) != (ssize_t)sizeof m->seed)
        return -1;
    m->magic = SHARED_MAGIC;
    return 0;
}

int turn_shared_create(const struct turn_config *c)
{
    int fd = memfd_create("stile-turn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    void *memory = MAP_FAILED;
    /* Of a fixed size for good: a worker that makes it smaller would end all others (SIGBUS). */
    if (ftruncate(fd, (off_t)size_of(c)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        memory = mmap(NULL, sizeof(struct shared_memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED && memory_begin(memory, c) == 0) {
        munmap(memory, sizeof(struct shared_memory));
        return fd;
    }
    int saved = errno;
    if (memory != MAP_FAILED)
        munmap(memory, sizeof(struct shared_memory));
    close(fd);
    errno = saved;
    return -1;
}

/* Zeroes one worker's counts without making all their pages resident. */
static void counts_clear(_Atomic uint32_t *counts)
{
    if (madvise((void *)counts, SLOTS * sizeof *counts, MADV_REMOVE) == 0)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        atomic_store(&counts[i], 0);
}

static _Atomic uint8_t *port_byte(const struct turn_shared *s, size_t relay, uint16_t port)
{
    return &s->ports[relay * s->range + (size_t)(port - s->memory->port_min)];
}

static bool is_whole(const struct turn_shared *s, const struct reservation *r)
{
    return r->relay < s->memory->n_relays && r->port >= s->memory->port_min &&
           r->port <= s->memory->port_max && r->worker < s->memory->workers && r->seat.user <= SLOTS &&
           r->seat.address <= SLOTS;
}

/* What a worker of this index left behind when it died. */
static void release_predecessor(struct turn_shared *s)
{
    struct shared_memory *m = s->memory;
    for (size_t i = 0; i < TURN_RESERVATIONS; i++) {
        struct reservation *r = &m->reservations[i];
        if (atomic_load(&r->token) == TOKEN_FREE || r->worker != s->worker)
            continue;
        /* Whoever was killed while making it may have left it half written. */
        if (is_whole(s, r) && atomic_load(port_byte(s, r->relay, r->port)) == PORT_RESERVED)
            turn_shared_release_port(s, r->relay, r->port);
        atomic_store(&r->token, TOKEN_FREE);
    }
    for (size_t i = 0; i < m->n_relays; i++)
        for (size_t k = 0; k < s->range; k++)
            if ((atomic_load(&s->ports[i * s->range + k]) & ~(unsigned)PORT_TCP) == s->worker + 1)
                turn_shared_release_port(s, i, (uint16_t)(m->port_min + k));
    counts_clear(s->user_counts + s->worker * (size_t)SLOTS);
    counts_clear(s->address_counts + s->worker * (size_t)SLOTS);
    counts_clear(s->connection_counts + s->worker * (size_t)SLOTS);
    turn_connection_release_worker(&m->connections, s->worker);
    atomic_store(&m->allocations[s->worker], 0);
}

static bool memory_fits(int fd, const struct shared_memory *m, const struct turn_config *c)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (size_t)st.st_size == size_of(c) && m->magic == SHARED_MAGIC &&
           m->workers == c->worker_count && m->n_relays == c->n_relays && m->port_min == c->port_min &&
           m->port_max == c->port_max;
}

enum err turn_shared_attach(int fd, const struct turn_config *c, struct turn_shared **out)
{
    struct turn_shared *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->size = size_of(c);
    int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, s->size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (memory == MAP_FAILED) {
        free(s);
        return ERR_SYSTEM;
    }
    s->memory = memory;
    s->worker = c->worker_index;
    s->range = range_of(c);
    uint8_t *behind = (uint8_t *)memory + head_size();
    s->user_counts = (_Atomic uint32_t *)(void *)behind;
    s->address_counts = (_Atomic uint32_t *)(void *)(behind + counts_size(c));
    s->connection_counts = (_Atomic uint32_t *)(void *)(behind + 2 * counts_size(c));
    s->n_ports = ports_of(c);
    s->port_buckets = (void *)(behind + 3 * counts_size(c));
    s->ports = (_Atomic uint8_t *)(s->port_buckets + s->n_ports);
    bool good = fd < 0 ? memory_begin(s->memory, c) == 0 : memory_fits(fd, s->memory, c);
    if (!good) {
        turn_shared_detach(s);
        return ERR_CONFIG;
    }
    if (fd >= 0)
        release_predecessor(s);
    *out = s;
    return ERR_OK;
}

void turn_shared_detach(struct turn_shared *s)
{
    if (!s)
        return;
    munmap(s->memory, s->size);
    free(s);
}

/* Ports ------------------------------------------------------------------------------------------------- */

bool turn_shared_claim_port(struct turn_shared *s, size_t relay, uint16_t port)
{
    uint8_t expected = PORT_FREE;
    if (port < s->memory->port_min || port > s->memory->port_max)
        return false;
    /* Counted before it is taken, and given back before it is counted down: a worker killed in between leaves
     * the count too high by one, never below nothing. */
    atomic_fetch_add(&s->memory->ports_used[relay], 1);
    if (atomic_compare_exchange_strong(port_byte(s, relay, port), &expected, (uint8_t)(s->worker + 1)))
        return true;
    atomic_fetch_sub(&s->memory->ports_used[relay], 1);
    return false;
}

void turn_shared_release_port(struct turn_shared *s, size_t relay, uint16_t port)
{
    atomic_store(port_byte(s, relay, port), PORT_FREE);
    atomic_fetch_sub(&s->memory->ports_used[relay], 1);
}

bool turn_shared_port_in_use(const struct turn_shared *s, size_t relay, uint16_t port)
{
    uint8_t owner = atomic_load_explicit(port_byte(s, relay, port), memory_order_relaxed);
    return owner != PORT_FREE && !(owner & PORT_TCP);
}

void turn_shared_mark_tcp(struct turn_shared *s, size_t relay, uint16_t port)
{
    atomic_fetch_or(port_byte(s, relay, port), PORT_TCP);
}

bool turn_shared_port_is_tcp(const struct turn_shared *s, size_t relay, uint16_t port)
{
    uint8_t owner = atomic_load(port_byte(s, relay, port));
    return owner != PORT_RESERVED && owner & PORT_TCP;
}

size_t turn_shared_ports_used(const struct turn_shared *s, size_t relay)
{
    return atomic_load(&s->memory->ports_used[relay]);
}

/* Reservations ------------------------------------------------------------------------------------------ */

static size_t reservations_of(const struct shared_memory *m, uint64_t user)
{
    size_t n = 0;
    for (size_t i = 0; i < TURN_RESERVATIONS; i++)
        n += atomic_load_explicit(&m->reservations[i].token, memory_order_relaxed) != TOKEN_FREE &&
             atomic_load_explicit(&m->reservations[i].user, memory_order_relaxed) == user;
    return n;
}

static void leave(struct turn_shared *s, size_t worker, const struct turn_seat *seat);

enum err turn_shared_reserve(struct turn_shared *s, size_t relay, uint16_t port, uint64_t token,
                             uint64_t user, const struct turn_seat *seat, uint32_t expires)
{
    if (reservations_of(s->memory, user) >= TURN_RESERVATIONS_USER)
        return ERR_FULL;
    for (size_t i = 0; i < TURN_RESERVATIONS; i++) {
        struct reservation *r = &s->memory->reservations[(token + i) % TURN_RESERVATIONS];
        uint64_t expected = TOKEN_FREE;
        if (!atomic_compare_exchange_strong(&r->token, &expected, TOKEN_BUSY))
            continue;
        r->user = user;
        r->seat = *seat;
        r->expires = expires;
        r->port = port;
        r->relay = (uint8_t)relay;
        r->worker = (uint8_t)s->worker;
        atomic_store(port_byte(s, relay, port), PORT_RESERVED);
        atomic_store(&r->token, token);
        return ERR_OK;
    }
    return ERR_FULL;
}

enum err turn_shared_redeem(struct turn_shared *s, uint64_t token, uint64_t user, uint32_t now, size_t *relay,
                            uint16_t *port)
{
    if (token == TOKEN_FREE || token == TOKEN_BUSY)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < TURN_RESERVATIONS; i++) {
        struct reservation *r = &s->memory->reservations[(token + i) % TURN_RESERVATIONS];
        uint64_t expected = token;
        if (atomic_load(&r->token) != token ||
            !atomic_compare_exchange_strong(&r->token, &expected, TOKEN_BUSY))
            continue;
        /* Another worker wrote it: whatever that one has become, nothing beyond the ports is touched. */
        if (r->user != user || (int32_t)(r->expires - now) <= 0 || !is_whole(s, r)) {
            atomic_store(&r->token, token);
            return ERR_NOT_FOUND;
        }
        *relay = r->relay;
        *port = r->port;
        leave(s, r->worker, &r->seat);
        atomic_store(port_byte(s, r->relay, r->port), (uint8_t)(s->worker + 1));
        atomic_store(&r->token, TOKEN_FREE);
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

void turn_shared_expire(struct turn_shared *s, uint32_t now)
{
    for (size_t i = 0; i < TURN_RESERVATIONS; i++) {
        struct reservation *r = &s->memory->reservations[i];
        uint64_t token = atomic_load_explicit(&r->token, memory_order_relaxed);
        if (token == TOKEN_FREE || token == TOKEN_BUSY || r->worker != s->worker ||
            (int32_t)(r->expires - now) > 0)
            continue;
        if (!atomic_compare_exchange_strong(&r->token, &token, TOKEN_BUSY))
            continue;
        turn_shared_release_port(s, r->relay, r->port);
        leave(s, r->worker, &r->seat);
        atomic_store(&r->token, TOKEN_FREE);
    }
}

/* Quotas ------------------------------------------------------------------------------------------------ */

uint64_t turn_shared_user(const struct turn_shared *s, const char *name)
{
    return siphash(s->memory->seed, name, strlen(name)) | 1;
}

/* Allocations on all slots that carry this key (two workers may have opened one each at the same instant). */
static uint64_t seats_sum(const struct turn_shared *s, const _Atomic uint32_t *counts, size_t slot)
{
    uint64_t sum = 0;
    for (size_t w = 0; w < s->memory->workers; w++)
        sum += atomic_load(&counts[w * SLOTS + slot]);
    return sum;
}

static uint64_t seats_taken(const struct turn_shared *s, struct seats *seats, const _Atomic uint32_t *counts,
                            uint64_t key)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PROBES; i++)
        if (atomic_load(&seats->keys[(key + i) % SLOTS]) == key)
            sum += seats_sum(s, counts, (key + i) % SLOTS);
    return sum;
}

/* Counts one up under the key; the slot + 1, or 0 when there is no room for another key nearby. */
static uint32_t seats_take(const struct turn_shared *s, struct seats *seats, _Atomic uint32_t *counts,
                           uint64_t key)
{
    _Atomic uint32_t *mine = counts + s->worker * (size_t)SLOTS;
    for (size_t i = 0; i < PROBES; i++) {
        size_t slot = (key + i) % SLOTS;
        if (atomic_load(&seats->keys[slot]) == key) {
            atomic_fetch_add(&mine[slot], 1);
            return (uint32_t)slot + 1;
        }
    }
    for (size_t i = 0; i < PROBES; i++) {
        size_t slot = (key + i) % SLOTS;
        uint64_t old = atomic_load(&seats->keys[slot]);
        if (seats_sum(s, counts, slot) != 0 || !atomic_compare_exchange_strong(&seats->keys[slot], &old, key))
            continue;
        atomic_fetch_add(&mine[slot], 1);
        return (uint32_t)slot + 1;
    }
    return 0;
}

/* Counts down, never below nothing: a worker that was started again has cleared its row. */
static void seats_give(_Atomic uint32_t *counts, size_t worker, uint32_t seat)
{
    if (!seat)
        return;
    _Atomic uint32_t *count = &counts[worker * SLOTS + seat - 1];
    uint32_t before = atomic_load(count);
    while (before && !atomic_compare_exchange_weak(count, &before, before - 1))
        ;
}

static void leave(struct turn_shared *s, size_t worker, const struct turn_seat *seat)
{
    _Atomic uint64_t *total = &s->memory->allocations[worker];
    uint64_t before = atomic_load(total);
    while (before && !atomic_compare_exchange_weak(total, &before, before - 1))
        ;
    seats_give(s->user_counts, worker, seat->user);
    seats_give(s->address_counts, worker, seat->address);
}

uint64_t turn_shared_total(const struct turn_shared *s)
{
    uint64_t sum = 0;
    for (size_t w = 0; w < s->memory->workers; w++)
        sum += atomic_load(&s->memory->allocations[w]);
    return sum;
}

enum turn_quota turn_shared_sit(struct turn_shared *s, const struct turn_config *c, uint64_t user,
                                const struct netaddr *client, struct turn_seat *seat)
{
    uint32_t address_quota = turn_config_is_bridge(c, client) ? 0 : c->quota_address;
    struct shared_memory *m = s->memory;
    /* An IPv6 host has a /64 to itself, so that is what counts as one address. */
    uint64_t address = siphash(m->seed, client->ip, client->family == AF_INET ? 4 : 8) | 1;
    atomic_fetch_add(&m->allocations[s->worker], 1);
    struct turn_seat mine = {.user = seats_take(s, &m->users, s->user_counts, user),
                             .address = seats_take(s, &m->addresses, s->address_counts, address)};
    enum turn_quota q = TURN_QUOTA_OK;
    if (c->quota_total && turn_shared_total(s) > c->quota_total)
        q = TURN_QUOTA_TOTAL;
    else if (((c->quota_user || c->user_kbps) && !mine.user) || (address_quota && !mine.address))
        q = TURN_QUOTA_COUNTERS;
    else if (c->quota_user && seats_taken(s, &m->users, s->user_counts, user) > c->quota_user)
        q = TURN_QUOTA_USER;
    else if (address_quota && seats_taken(s, &m->addresses, s->address_counts, address) > address_quota)
        q = TURN_QUOTA_ADDRESS;
    if (q == TURN_QUOTA_OK)
        *seat = mine;
    else
        turn_shared_leave(s, &mine);
    return q;
}

_Atomic uint64_t *turn_shared_buckets(struct turn_shared *s, const struct turn_seat *seat)
{
    return seat->user ? s->memory->buckets[seat->user - 1] : NULL;
}

void turn_shared_leave(struct turn_shared *s, const struct turn_seat *seat)
{
    leave(s, s->worker, seat);
}

struct turn_connection_table *turn_shared_connections(const struct turn_shared *s)
{
    return &s->memory->connections;
}

/* The allocation keeps the slot of its user: nobody else takes it meanwhile. */
bool turn_shared_connection_sit(struct turn_shared *s, const struct turn_config *c, uint64_t user,
                                const struct turn_seat *seat)
{
    if (!seat->user)
        return true;
    atomic_fetch_add(&s->connection_counts[s->worker * (size_t)SLOTS + seat->user - 1], 1);
    if (!c->quota_connections ||
        seats_taken(s, &s->memory->users, s->connection_counts, user) <= c->quota_connections)
        return true;
    turn_shared_connection_leave(s, seat);
    return false;
}

void turn_shared_connection_leave(struct turn_shared *s, const struct turn_seat *seat)
{
    seats_give(s->connection_counts, s->worker, seat->user);
}

void turn_shared_connection_pays(struct turn_shared *s, struct turn_connection_row *row, size_t relay,
                                 uint16_t port, const struct turn_seat *seat)
{
    row->port = (uint32_t)(relay * s->range + port - s->memory->port_min);
    row->seat = seat->user;
}

/* The row is another worker's: what it says is looked at before it is used. */
void turn_shared_connection_buckets(struct turn_shared *s, const struct turn_connection_row *row,
                                    _Atomic uint64_t **allocation, _Atomic uint64_t **user)
{
    uint32_t port = row->port, seat = row->seat;
    *allocation = s->port_buckets[port < s->n_ports ? port : 0];
    *user = seat > 0 && seat <= SLOTS ? s->memory->buckets[seat - 1] : NULL;
}
