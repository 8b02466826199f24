#include "edge/turn/turn_connection_table.h"

enum {
    PROBES = 64,
    STATE_BUSY = 1, /* being written */
    STATE_WAITING = 2,
    STATE_TAKEN = 3,
    NOBODY = 0xff,
};

static uint64_t word_make(uint32_t id, uint32_t owner, uint32_t taker, unsigned state)
{
    return (uint64_t)id << 32 | (uint64_t)(owner & 0xff) << 16 | (uint64_t)(taker & 0xff) << 8 | state;
}

static uint32_t word_id(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static uint32_t word_owner(uint64_t word)
{
    return word >> 16 & 0xff;
}

static uint32_t word_taker(uint64_t word)
{
    return word >> 8 & 0xff;
}

static unsigned word_state(uint64_t word)
{
    return word & 0xff;
}

static struct turn_connection_row *row_at(struct turn_connection_table *t, uint32_t id, uint32_t probe)
{
    return &t->rows[(id + probe) % TURN_CONNECTION_ROWS];
}

/* NULL when no row of the neighbourhood has this id. */
static struct turn_connection_row *row_find(struct turn_connection_table *t, uint32_t id)
{
    for (uint32_t i = 0; i < PROBES; i++) {
        uint64_t word = atomic_load(&row_at(t, id, i)->word);
        if (word != 0 && word_id(word) == id)
            return row_at(t, id, i);
    }
    return NULL;
}

enum err turn_connection_add(struct turn_connection_table *t, uint32_t id, uint32_t owner, uint64_t user,
                             struct turn_connection_row **out)
{
    if (row_find(t, id))
        return ERR_EXISTS;
    for (uint32_t i = 0; i < PROBES; i++) {
        struct turn_connection_row *r = row_at(t, id, i);
        uint64_t expected = 0;
        if (!atomic_compare_exchange_strong(&r->word, &expected, word_make(id, owner, NOBODY, STATE_BUSY)))
            continue;
        r->user = user;
        atomic_store(&r->from_client, 0);
        atomic_store(&r->to_client, 0);
        atomic_store(&r->word, word_make(id, owner, NOBODY, STATE_WAITING));
        *out = r;
        return ERR_OK;
    }
    return ERR_FULL;
}

enum err turn_connection_take(struct turn_connection_table *t, uint32_t id, uint64_t user, uint32_t taker,
                              uint32_t *owner, struct turn_connection_row **out)
{
    struct turn_connection_row *r = id ? row_find(t, id) : NULL;
    uint64_t word = r ? atomic_load(&r->word) : 0;
    if (!r || word_id(word) != id || word_state(word) != STATE_WAITING || r->user != user)
        return ERR_NOT_FOUND;
    if (!atomic_compare_exchange_strong(&r->word, &word, word_make(id, word_owner(word), taker, STATE_TAKEN)))
        return ERR_NOT_FOUND;
    *owner = word_owner(word);
    *out = r;
    return ERR_OK;
}

bool turn_connection_taken_by(const struct turn_connection_row *r, uint32_t id, uint32_t taker)
{
    uint64_t word = atomic_load(&r->word);
    return word_id(word) == id && word_state(word) == STATE_TAKEN && word_taker(word) == taker;
}

bool turn_connection_there(const struct turn_connection_row *r, uint32_t id)
{
    return word_id(atomic_load(&r->word)) == id;
}

void turn_connection_release(struct turn_connection_row *r, uint32_t id)
{
    uint64_t word = atomic_load(&r->word);
    while (word_id(word) == id && !atomic_compare_exchange_weak(&r->word, &word, 0))
        ;
}

void turn_connection_release_worker(struct turn_connection_table *t, uint32_t worker)
{
    for (size_t i = 0; i < TURN_CONNECTION_ROWS; i++) {
        uint64_t word = atomic_load_explicit(&t->rows[i].word, memory_order_relaxed);
        if (word != 0 && (word_owner(word) == worker || word_taker(word) == worker))
            turn_connection_release(&t->rows[i], word_id(word));
    }
}
