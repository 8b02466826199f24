/* A datagram as STUN: parsed, every attribute read in every way, checked against keys, written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/stun_auth.h"
#include "proto/stun_ephemeral.h"
#include "proto/stun_msg.h"
#include "proto/stun_nonce.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_addresses(const struct stun_msg *m, enum stun_attr a)
{
    struct stun_value v = {0};
    struct netaddr address;
    char text[NETADDR_TEXT];
    unsigned rounds = 0;
    while (stun_next(m, a, &v)) {
        REQUIRE(v.at >= m->data && v.at + v.len <= m->data + m->size);
        REQUIRE(rounds++ < m->size);
        if (stun_xor_address(m, v, &address) == ERR_OK)
            netaddr_print(&address, text);
    }
}

static bool is_made_anew(enum stun_attr a)
{
    return a == STUN_MESSAGE_INTEGRITY || a == STUN_MESSAGE_INTEGRITY_SHA256 || a == STUN_FINGERPRINT;
}

/* What is written from a parsed message reads the same. */
static void write_again(const struct stun_msg *m)
{
    static uint8_t memory[70000];
    struct stun_writer w;
    struct stun_msg again;
    size_t size;
    stun_begin(&w, memory, sizeof memory, m->method, m->class, m->transaction);
    for (enum stun_attr a = 0; a < STUN_ATTR_COUNT; a++) {
        struct stun_value v = stun_get(m, a);
        if (v.at && !is_made_anew(a))
            stun_put(&w, a, v.at, v.len);
    }
    stun_put_integrity(&w, (const uint8_t *)"key", 3);
    stun_put_integrity_sha256(&w, (const uint8_t *)"key", 3);
    stun_put_fingerprint(&w);
    if (stun_end(&w, &size) != ERR_OK)
        return;
    REQUIRE(size > UINT16_MAX || stun_parse(memory, size, &again) == ERR_OK);
    if (size > UINT16_MAX)
        return;
    REQUIRE(stun_check_integrity(&again, (const uint8_t *)"key", 3) && stun_check_fingerprint(&again));
    REQUIRE(stun_check_integrity_sha256(&again, (const uint8_t *)"key", 3, STUN_INTEGRITY_SHA256));
    REQUIRE(again.method == m->method && again.class == m->class && !again.wrong_size);
    for (enum stun_attr a = 0; a < STUN_ATTR_COUNT; a++) {
        struct stun_value v = stun_get(m, a), r = stun_get(&again, a);
        if (!is_made_anew(a))
            REQUIRE(!v.at == !r.at && v.len == r.len && (!v.at || memcmp(v.at, r.at, v.len) == 0));
    }
}

/* Nonces and user names of every form. */
static void read_names(const struct stun_msg *m)
{
    static const uint8_t nonce_key[STUN_NONCE_KEY] = {7};
    struct netaddr client = {.family = AF_INET, .port = 1, .ip = {192, 0, 2, 1}};
    struct stun_offer offer = {0};
    struct stun_ephemeral e;
    struct stun_value name = stun_get(m, STUN_USERNAME), nonce = stun_get(m, STUN_NONCE);
    char text[STUN_NONCE_TEXT];
    stun_offer_add(&offer, STUN_ALGORITHM_SHA256);
    if (nonce.at) {
        REQUIRE(stun_nonce_features(nonce) <= 0xffffff);
        stun_nonce_check(nonce_key, 1000, 600, &client, &offer, stun_get(m, STUN_PASSWORD_ALGORITHMS), nonce);
    }
    stun_nonce_make(nonce_key, 1000, &client, &offer, text);
    REQUIRE(stun_nonce_check(nonce_key, 1000, 600, &client, &offer, (struct stun_value){0},
                             (struct stun_value){(const uint8_t *)text, sizeof text}) == ERR_OK);
    if (name.at && stun_ephemeral_parse(name.at, name.len, &e))
        REQUIRE(e.whose >= name.at && e.whose + e.whose_len == name.at + name.len && e.ends > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct stun_msg m;
    uint32_t number;
    int code;
    if (stun_parse(data, n, &m) != ERR_OK)
        return 0;
    REQUIRE(stun_is(data, n) && m.n_unknown <= STUN_UNKNOWN_MAX);
    for (enum stun_attr a = 0; a < STUN_ATTR_COUNT; a++) {
        struct stun_value v = stun_get(&m, a);
        REQUIRE(!v.at || (v.at >= data + STUN_HEADER && v.at + v.len <= data + n));
        stun_get_u32(&m, a, &number);
        read_addresses(&m, a);
    }
    stun_get_error(&m, &code);
    stun_check_integrity(&m, (const uint8_t *)"VOkJxbRl1RmTxUk/WvJxBt", 22);
    stun_check_fingerprint(&m);
    stun_check_integrity_sha256(&m, (const uint8_t *)"VOkJxbRl1RmTxUk/WvJxBt", 22, 16);
    read_names(&m);
    write_again(&m);
    return 0;
}
