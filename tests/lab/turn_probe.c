/*
 * A TURN client that says what it sees: relayed addresses, refusals, data and ICMP errors.
 *
 *   turn_probe server=IP:PORT user=NAME password=WORD [allocations=N] [family=4|6] [reserve=1]
 *              [peer=IP:PORT [size=BYTES] [dont_fragment=1]] [secret=WORD] [hold=1]
 *
 * Makes N allocations (1), each from a port of its own, and prints for each "relayed IP:PORT" or "error
 * CODE"; with reserve, each reserves the port behind its own (EVEN-PORT). With a peer, the first of them
 * permits it and sends it packets of this size (100), one after another until something comes back, 5 s at
 * most: "data BYTES IP:PORT", "icmp TYPE CODE DATA IP:PORT", or "nothing". All allocations are given back in
 * the end; with hold=1, when standard input has ended. With a secret of the server each allocation is by
 * another user, NAME0, NAME1 and so on, whose credentials end in an hour.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/netaddr.h"
#include "proto/stun_auth.h"
#include "proto/stun_msg.h"

enum {
    MESSAGE = 3000,
    TRIES = 20,
    TRY_MS = 250,
    SENDS = 25,
    SEND_MS = 200,
    MOST = 20000, /* allocations */
    HOUR = 3600,
};

struct allocation {
    int fd;
    size_t user;
};

static struct netaddr server;
static const char *user, *password;
static bool reserve;
static char realm[200], nonce[200];
static struct stun_key key;

static _Noreturn void quit(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("turn_probe: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static const char *option(char **argv, const char *name, const char *fallback)
{
    size_t n = strlen(name);
    for (char **a = argv + 1; *a; a++)
        if (strncmp(*a, name, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    if (!fallback)
        quit("%s=... is missing", name);
    return fallback;
}

static int connect_to_server(void)
{
    struct sockaddr_storage sa;
    int fd = socket(server.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(&server, &sa)) != 0)
        quit("no socket: %s", strerror(errno));
    return fd;
}

/* Credentials that end: the name begins with their end, the password is made of name and secret. */
static void be_user(time_t end, const char *name, size_t i, const char *secret)
{
    static char own_name[128], own_password[2 * EVP_MAX_MD_SIZE];
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned n;
    int len = snprintf(own_name, sizeof own_name, "%lld:%s%zu", (long long)end, name, i);
    if (!HMAC(EVP_sha1(), secret, (int)strlen(secret), (const uint8_t *)own_name, (size_t)len, mac, &n))
        quit("no HMAC");
    EVP_EncodeBlock((uint8_t *)own_password, mac, (int)n);
    user = own_name;
    password = own_password;
    if (*realm)
        stun_long_term_key(STUN_ALGORITHM_MD5, user, realm, password, &key);
}

/* Signalling ------------------------------------------------------------------------------------------- */

static void begin(struct stun_writer *w, uint8_t *memory, uint16_t method, enum stun_class class)
{
    static uint64_t serial;
    uint8_t transaction[STUN_TRANSACTION] = "prb";
    serial++;
    memcpy(transaction + 4, &serial, sizeof serial);
    stun_begin(w, memory, MESSAGE, method, class, transaction);
}

static void note_challenge(const struct stun_msg *m)
{
    struct stun_value r = stun_get(m, STUN_REALM), v = stun_get(m, STUN_NONCE);
    if (!r.at || !v.at || r.len >= sizeof realm || v.len >= sizeof nonce)
        return;
    memcpy(realm, r.at, r.len);
    memcpy(nonce, v.at, v.len);
    realm[r.len] = nonce[v.len] = '\0';
    stun_long_term_key(STUN_ALGORITHM_MD5, user, realm, password, &key);
}

/* Sends until the answer to this request comes; what else comes is passed over. */
static void ask(int fd, const uint8_t *request, size_t n, uint8_t *answer, struct stun_msg *m)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (int i = 0; i < TRIES; i++) {
        send(fd, request, n, 0);
        while (poll(&p, 1, TRY_MS) > 0) {
            ssize_t got = recv(fd, answer, MESSAGE, 0);
            if (got > 0 && stun_parse(answer, (size_t)got, m) == ERR_OK &&
                memcmp(m->transaction, request + 8, STUN_TRANSACTION) == 0)
                return;
        }
    }
    quit("no answer");
}

/* Asks with an attribute of four bytes and, where given, a peer; 0, or the error code. */
static int request(int fd, uint16_t method, const uint32_t *attribute, const struct netaddr *peer,
                   uint8_t *answer, struct stun_msg *m)
{
    uint8_t memory[MESSAGE];
    struct stun_writer w;
    size_t n;
    for (int i = 0;; i++) {
        begin(&w, memory, method, STUN_REQUEST);
        for (const uint32_t *a = attribute; a && *a; a += 2)
            stun_put_u32(&w, (uint16_t)a[0], a[1]);
        if (reserve && method == STUN_METHOD_ALLOCATE)
            stun_put(&w, STUN_EVEN_PORT, "\x80", 1);
        if (peer)
            stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, peer);
        if (*nonce) {
            stun_put(&w, STUN_USERNAME, user, strlen(user));
            stun_put(&w, STUN_REALM, realm, strlen(realm));
            stun_put(&w, STUN_NONCE, nonce, strlen(nonce));
            stun_put_integrity(&w, key.bytes, key.len);
        }
        if (stun_end(&w, &n) != ERR_OK)
            quit("a request does not fit");
        ask(fd, memory, n, answer, m);
        struct stun_value code = stun_get(m, STUN_ERROR_CODE);
        int error = m->class == STUN_SUCCESS ? 0 : code.len >= 4 ? code.at[2] * 100 + code.at[3] : -1;
        if ((error != 401 && error != 438) || i == 2)
            return error;
        note_challenge(m);
    }
}

static bool allocate(int fd, const char *family)
{
    const uint32_t plain[] = {STUN_REQUESTED_TRANSPORT, 17u << 24, 0},
                   six[] = {STUN_REQUESTED_TRANSPORT, 17u << 24, STUN_REQUESTED_ADDRESS_FAMILY, 2u << 24, 0};
    uint8_t answer[MESSAGE];
    char text[NETADDR_TEXT];
    struct netaddr relayed;
    struct stun_msg m;
    int error = request(fd, STUN_METHOD_ALLOCATE, *family == '6' ? six : plain, NULL, answer, &m);
    if (error != 0)
        printf("error %d\n", error);
    else if (stun_get_xor_address(&m, STUN_XOR_RELAYED_ADDRESS, &relayed) != ERR_OK)
        quit("success without a relayed address");
    else
        printf("relayed %s\n", netaddr_print(&relayed, text));
    return error == 0;
}

static void release(int fd)
{
    const uint32_t at_once[] = {STUN_LIFETIME, 0, 0};
    uint8_t answer[MESSAGE];
    struct stun_msg m;
    (void)request(fd, STUN_METHOD_REFRESH, at_once, NULL, answer, &m);
}

/* Data -------------------------------------------------------------------------------------------------- */

static void send_data(int fd, const struct netaddr *peer, size_t size, bool whole)
{
    static const uint8_t payload[MESSAGE];
    uint8_t memory[MESSAGE];
    struct stun_writer w;
    size_t n;
    begin(&w, memory, STUN_METHOD_SEND, STUN_INDICATION);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, peer);
    if (whole)
        stun_put(&w, STUN_DONT_FRAGMENT, "", 0);
    stun_put(&w, STUN_DATA, payload, size);
    if (stun_end(&w, &n) != ERR_OK || send(fd, memory, n, 0) != (ssize_t)n)
        quit("the data cannot be sent");
}

/* RFC 8656 §18.13: 16 bits reserved, 7 of type, 9 of code, 32 of data. */
static bool print_indication(const uint8_t *packet, size_t n)
{
    struct stun_msg m;
    struct netaddr peer;
    char text[NETADDR_TEXT];
    if (stun_parse(packet, n, &m) != ERR_OK || m.class != STUN_INDICATION ||
        stun_get_xor_address(&m, STUN_XOR_PEER_ADDRESS, &peer) != ERR_OK)
        return false;
    struct stun_value data = stun_get(&m, STUN_DATA), icmp = stun_get(&m, STUN_ICMP);
    netaddr_print(&peer, text);
    if (icmp.len == 8)
        printf("icmp %d %d %u %s\n", icmp.at[2] >> 1, (icmp.at[2] & 1) << 8 | icmp.at[3],
               (unsigned)icmp.at[4] << 24 | (unsigned)icmp.at[5] << 16 | (unsigned)icmp.at[6] << 8 |
                   icmp.at[7],
               text);
    else if (data.at)
        printf("data %zu %s\n", (size_t)data.len, text);
    return icmp.len == 8 || data.at;
}

static void talk(int fd, const struct netaddr *peer, size_t size, bool whole)
{
    uint8_t packet[MESSAGE];
    struct stun_msg m;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int error = request(fd, STUN_METHOD_CREATE_PERMISSION, NULL, peer, packet, &m);
    if (error != 0) {
        printf("error %d\n", error);
        return;
    }
    for (int i = 0; i < SENDS; i++) {
        send_data(fd, peer, size, whole);
        while (poll(&p, 1, SEND_MS) > 0) {
            ssize_t n = recv(fd, packet, sizeof packet, 0);
            if (n > 0 && print_indication(packet, (size_t)n))
                return;
        }
    }
    puts("nothing");
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *peer_text = option(argv, "peer", ""), *family = option(argv, "family", "4"),
               *name = option(argv, "user", NULL), *secret = option(argv, "secret", "");
    size_t n = strtoul(option(argv, "allocations", "1"), NULL, 10),
           size = strtoul(option(argv, "size", "100"), NULL, 10), n_up = 0;
    struct netaddr peer;
    if (netaddr_parse(option(argv, "server", NULL), 3478, &server) != ERR_OK ||
        (*peer_text && netaddr_parse(peer_text, 0, &peer) != ERR_OK) || n == 0 || n > MOST ||
        size > MESSAGE - 200)
        quit("server, peer, allocations or size is wrong");
    reserve = *option(argv, "reserve", "0") == '1';
    user = name;
    password = option(argv, "password", *secret ? "" : NULL);
    time_t end = time(NULL) + HOUR;
    struct allocation *up = calloc(n, sizeof *up);
    for (size_t i = 0; i < n; i++) {
        int fd = connect_to_server();
        if (*secret)
            be_user(end, name, i, secret);
        if (allocate(fd, family))
            up[n_up++] = (struct allocation){.fd = fd, .user = i};
        else
            close(fd);
    }
    if (n_up > 0 && *peer_text)
        talk(up[0].fd, &peer, size, *option(argv, "dont_fragment", "0") == '1');
    fflush(stdout);
    while (*option(argv, "hold", "0") == '1' && getchar() != EOF)
        ;
    for (size_t i = 0; i < n_up; i++) {
        if (*secret)
            be_user(end, name, up[i].user, secret);
        release(up[i].fd);
    }
    free(up);
    return 0;
}
