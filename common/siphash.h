/*
 * SipHash-1-3 (Aumasson, Bernstein 2012): a keyed hash for tables whose keys strangers choose. Not a MAC.
 * In a header since packet paths hash two or three words at a time.
 */
#ifndef COMMON_SIPHASH_H
#define COMMON_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t siphash_rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void siphash_round(struct siphash *s)
{
    s->v0 += s->v1;
    s->v1 = siphash_rotate(s->v1, 13) ^ s->v0;
    s->v0 = siphash_rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = siphash_rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = siphash_rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = siphash_rotate(s->v1, 17) ^ s->v2;
    s->v2 = siphash_rotate(s->v2, 32);
}

static inline struct siphash siphash_begin(const uint64_t seed[2])
{
    return (struct siphash){seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                            seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
}

/* One round a word. */
static inline void siphash_word(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    siphash_round(s);
    s->v0 ^= word;
}

/* Three to finish. */
static inline uint64_t siphash_end(struct siphash *s)
{
    s->v2 ^= 0xff;
    siphash_round(s);
    siphash_round(s);
    siphash_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The whole function over bytes. */
static inline uint64_t siphash(const uint64_t seed[2], const void *data, size_t n)
{
    const uint8_t *at = data;
    struct siphash s = siphash_begin(seed);
    uint64_t word;
    size_t left = n;
    for (; left >= 8; left -= 8, at += 8) {
        memcpy(&word, at, 8);
        siphash_word(&s, word);
    }
    word = 0;
    if (left)
        memcpy(&word, at, left);
    siphash_word(&s, word ^ (uint64_t)n << 56);
    return siphash_end(&s);
}

#endif
