/* A datagram as STUN: parsed, every attribute read in every way, checked against keys, written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/fatal.h"
#include "proto/stun_auth.h"
#include "proto/stun_msg.h"

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
        if (v.at && a != STUN_MESSAGE_INTEGRITY && a != STUN_FINGERPRINT)
            stun_put(&w, a, v.at, v.len);
    }
    stun_put_integrity(&w, (const uint8_t *)"key", 3);
    stun_put_fingerprint(&w);
    if (stun_end(&w, &size) != ERR_OK)
        return;
    REQUIRE(size > UINT16_MAX || stun_parse(memory, size, &again) == ERR_OK);
    if (size > UINT16_MAX)
        return;
    REQUIRE(stun_check_integrity(&again, (const uint8_t *)"key", 3) && stun_check_fingerprint(&again));
    REQUIRE(again.method == m->method && again.class == m->class && !again.wrong_size);
    for (enum stun_attr a = 0; a < STUN_ATTR_COUNT; a++) {
        struct stun_value v = stun_get(m, a), r = stun_get(&again, a);
        if (a != STUN_MESSAGE_INTEGRITY && a != STUN_FINGERPRINT)
            REQUIRE(!v.at == !r.at && v.len == r.len && (!v.at || memcmp(v.at, r.at, v.len) == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t nonce_key[STUN_NONCE_KEY] = {7};
    struct netaddr client = {.family = AF_INET, .port = 1, .ip = {192, 0, 2, 1}};
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
    if (stun_has(&m, STUN_NONCE))
        stun_nonce_check(nonce_key, 1000, 600, &client, stun_get(&m, STUN_NONCE));
    write_again(&m);
    return 0;
}
