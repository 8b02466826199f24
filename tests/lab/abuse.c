/*
 * Attackers at the level of TCP and TLS: very many connections, from many addresses.
 *
 *   abuse KIND server=IP from=IP addresses=N connections=N [seconds=N]
 *
 * Connections come from N addresses, `from` the first of them. KIND is a row of the table below. Attacks that
 * hold open all connections, and `seconds` begin when each is as far as it should be, or gone; the others
 * keep so many under way and begin anew whenever one is over. In the end one line of JSON: opened, reached
 * (as far as they should be), open (still there).
 */
#include <errno.h>
#include <ev.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/netaddr.h"
#include "common/sock.h"

enum { JUNK = 4096, OPENING_AT_ONCE = 200, OPENING_A_SECOND = 500, PER_TURN = 8, OPENING_SECONDS = 120 };

static const double PACE_SECONDS = 0.02;

struct attacker;

/* What is done once TCP is there, and then whenever the server has said something. False: it is over. */
struct kind {
    const char *name;
    bool holds, tls;
    int version; /* of TLS; 0: any */
    bool (*begin)(struct attacker *a);
    bool (*go_on)(struct attacker *a);
};

struct attacker {
    ev_io io;
    SSL *ssl;
    bool connected, reached, gone;
};

static const struct kind *kind;
static struct ev_loop *loop;
static struct netaddr server, from;
static SSL_CTX *tls;
static ev_timer end;
static double seconds, begun;
static struct attacker *attackers;
static unsigned addresses, connections, next_address;
static unsigned opened, reached, open_now, opening, started, settled;
static uint8_t client_hello[JUNK], junk[JUNK];
static size_t client_hello_len;

static void attacker_open(struct attacker *a);

static _Noreturn void quit(const char *what)
{
    fprintf(stderr, "abuse: %s\n", what);
    exit(2);
}

/* Life ------------------------------------------------------------------------------------------------- */

/* Those that hold come one after the other: how many handshakes a server bears is another attack. */
static void open_more(void)
{
    double due = kind->holds ? (ev_now(loop) - begun) * OPENING_A_SECOND : connections;
    while (started < connections && started < due && opening < OPENING_AT_ONCE) {
        opening++;
        attacker_open(&attackers[started++]);
    }
}

/* It is as far as it should be, or gone before. */
static void attacker_settled(void)
{
    opening--;
    if (!kind->holds || ++settled < connections)
        return;
    end.repeat = seconds;
    ev_timer_again(loop, &end);
}

static void attacker_reached(struct attacker *a)
{
    if (a->reached)
        return;
    a->reached = true;
    reached++;
    attacker_settled();
}

static void attacker_over(struct attacker *a)
{
    ev_io_stop(loop, &a->io);
    SSL_free(a->ssl);
    a->ssl = NULL;
    close(a->io.fd);
    open_now--;
    a->gone = true;
    if (!a->reached)
        attacker_settled();
}

static bool attacker_say(struct attacker *a, const void *data, size_t n)
{
    return write(a->io.fd, data, n) == (ssize_t)n;
}

static void on_event(struct ev_loop *l, ev_io *io, int revents)
{
    struct attacker *a = io->data;
    int error = 0;
    socklen_t n = sizeof error;
    (void)l, (void)revents;
    if (a->connected) {
        if (!kind->go_on(a))
            attacker_over(a);
        return;
    }
    getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &n);
    if (error) {
        attacker_over(a);
        return;
    }
    a->connected = true;
    ev_io_stop(loop, io);
    ev_io_set(io, io->fd, EV_READ);
    ev_io_start(loop, io);
    if (!kind->begin(a))
        attacker_over(a);
}

static void attacker_open(struct attacker *a)
{
    struct sockaddr_storage sa;
    struct netaddr mine = from;
    unsigned last = mine.ip[3] + next_address++ % addresses;
    mine.ip[3] = (uint8_t)last;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0)
        quit("no more sockets");
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = !kind->holds}, sizeof(struct linger));
    if (bind(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(&mine, &sa)) != 0)
        quit("an address is not this machine's");
    *a = (struct attacker){0};
    opened++;
    open_now++;
    if (connect(fd, (struct sockaddr *)&sa, netaddr_to_sockaddr(&server, &sa)) != 0 && errno != EINPROGRESS)
        quit(strerror(errno));
    ev_io_init(&a->io, on_event, fd, EV_WRITE);
    a->io.data = a;
    ev_io_start(loop, &a->io);
}

/* Kinds ------------------------------------------------------------------------------------------------ */

/* What the server says is read and dropped; false at its end. */
static bool swallow(struct attacker *a)
{
    uint8_t bytes[JUNK];
    ssize_t n = read(a->io.fd, bytes, sizeof bytes);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static bool say_nothing(struct attacker *a)
{
    attacker_reached(a);
    return true;
}

static bool say_hello(struct attacker *a)
{
    attacker_reached(a);
    return attacker_say(a, client_hello, client_hello_len);
}

static bool say_half_a_hello(struct attacker *a)
{
    attacker_reached(a);
    return attacker_say(a, client_hello, client_hello_len / 2);
}

/* The server has signed and answered: that was it. */
static bool leave_after_answer(struct attacker *a)
{
    (void)swallow(a);
    return false;
}

static bool say_junk(struct attacker *a)
{
    uint8_t first = junk[opened % JUNK];
    attacker_reached(a);
    return attacker_say(a, &first, 1) && attacker_say(a, junk, 512);
}

/* A TLS record that is none. */
static bool say_record(struct attacker *a)
{
    attacker_reached(a);
    return attacker_say(a, "\x16\x03\x01\x02", 4) && attacker_say(a, junk, 600);
}

/* A STUN request of an unknown method, whose attributes make no sense. */
static bool say_stun(struct attacker *a)
{
    uint8_t message[220] = {0x00, 0x7f, 0, 200, 0x21, 0x12, 0xa4, 0x42};
    memcpy(message + 8, junk + opened % 1024, sizeof message - 8);
    attacker_reached(a);
    return attacker_say(a, message, sizeof message);
}

static bool say_proxy(struct attacker *a)
{
    static const char line[] = "PROXY TCP4 203.0.113.77 203.0.113.10 4711 443\r\n";
    attacker_reached(a);
    return attacker_say(a, line, sizeof line - 1) && attacker_say(a, client_hello, client_hello_len);
}

/* 1: the handshake is done; 0: not yet; -1: failed. */
static int shake_hands(struct attacker *a)
{
    ERR_clear_error();
    int r = SSL_do_handshake(a->ssl);
    if (r == 1)
        return 1;
    int error = SSL_get_error(a->ssl, r);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static bool begin_tls(struct attacker *a)
{
    a->ssl = SSL_new(tls);
    if (!a->ssl || SSL_set_fd(a->ssl, a->io.fd) != 1)
        quit("out of memory");
    SSL_set_tlsext_host_name(a->ssl, "join.example.com");
    SSL_set_connect_state(a->ssl);
    return kind->go_on(a); /* a server that is quick has answered already */
}

static bool tls_swallow(struct attacker *a)
{
    char bytes[JUNK];
    ERR_clear_error();
    int n = SSL_read(a->ssl, bytes, sizeof bytes);
    return n > 0 || SSL_get_error(a->ssl, n) == SSL_ERROR_WANT_READ;
}

static bool stay(struct attacker *a)
{
    if (a->reached)
        return tls_swallow(a);
    int r = shake_hands(a);
    if (r == 1)
        attacker_reached(a);
    return r >= 0;
}

static bool leave_after_handshake(struct attacker *a)
{
    int r = shake_hands(a);
    if (r == 1)
        attacker_reached(a);
    return r == 0;
}

/* Asks for another handshake on the same connection (TLS 1.2), until the server will not have it. */
static bool renegotiate(struct attacker *a)
{
    if (!a->reached) {
        int r = shake_hands(a);
        if (r != 1)
            return r == 0;
        attacker_reached(a);
        if (SSL_renegotiate(a->ssl) != 1)
            return false;
    }
    return shake_hands(a) >= 0 && tls_swallow(a);
}

/* Asks for fresh keys again and again (RFC 8446 §4.6.3), and for each that the server answers. */
static bool update_keys(struct attacker *a)
{
    if (!a->reached) {
        int r = shake_hands(a);
        if (r != 1)
            return r == 0;
        attacker_reached(a);
    }
    for (int i = 0; i < PER_TURN; i++)
        if (SSL_key_update(a->ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || shake_hands(a) < 0)
            return false;
    return tls_swallow(a);
}

static const struct kind kinds[] = {
    {"silent", true, false, 0, say_nothing, swallow},          /* nothing is said */
    {"idle", true, true, 0, begin_tls, stay},                  /* nothing behind the TLS handshake */
    {"hello", true, false, 0, say_hello, swallow},             /* nothing behind the ClientHello */
    {"half-hello", true, false, 0, say_half_a_hello, swallow}, /* nothing behind half of it */
    {"handshakes", false, true, 0, begin_tls, leave_after_handshake},
    {"half-handshakes", false, false, 0, say_hello, leave_after_answer}, /* costs the attacker nothing */
    {"garbage", false, false, 0, say_junk, swallow},
    {"records", false, false, 0, say_record, swallow},
    {"stun", false, false, 0, say_stun, swallow},
    {"proxy", false, false, 0, say_proxy, swallow},
    {"renegotiation", false, true, TLS1_2_VERSION, begin_tls, renegotiate},
    {"key-updates", false, true, TLS1_3_VERSION, begin_tls, update_keys},
};

/* Start and end ---------------------------------------------------------------------------------------- */

static void on_turn(struct ev_loop *l, ev_prepare *w, int revents)
{
    (void)l, (void)w, (void)revents;
    open_more();
    for (unsigned i = 0; !kind->holds && i < started && opening < OPENING_AT_ONCE; i++)
        if (attackers[i].gone) {
            opening++;
            attacker_open(&attackers[i]);
        }
}

/* There may be more to open. */
static void on_pace(struct ev_loop *l, ev_timer *t, int revents)
{
    (void)l, (void)t, (void)revents;
}

static void on_end(struct ev_loop *l, ev_timer *t, int revents)
{
    (void)t, (void)revents;
    ev_break(l, EVBREAK_ALL);
}

static const char *option(char **argv, const char *name, const char *fallback)
{
    size_t n = strlen(name);
    for (char **a = argv + 2; *a; a++)
        if (strncmp(*a, name, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    if (!fallback)
        quit(name);
    return fallback;
}

/* The bytes of a ClientHello, to be said by connections that have no TLS of their own. */
static void record_client_hello(void)
{
    SSL *ssl = SSL_new(tls);
    BIO *out = BIO_new(BIO_s_mem()), *in = BIO_new(BIO_s_mem());
    if (!ssl || !out || !in)
        quit("out of memory");
    SSL_set_bio(ssl, in, out);
    SSL_set_tlsext_host_name(ssl, "join.example.com");
    SSL_set_connect_state(ssl);
    (void)SSL_do_handshake(ssl);
    int n = BIO_read(out, client_hello, sizeof client_hello);
    if (n <= 0)
        quit("no ClientHello");
    client_hello_len = (size_t)n;
    SSL_free(ssl);
    ERR_clear_error();
}

static void set_up(char **argv)
{
    struct rlimit limit;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            kind = &kinds[i];
    if (!kind)
        quit("no such kind");
    if (netaddr_parse(option(argv, "server", NULL), 443, &server) != ERR_OK ||
        netaddr_parse(option(argv, "from", NULL), 0, &from) != ERR_OK)
        quit("an address is malformed");
    addresses = (unsigned)atoi(option(argv, "addresses", "1"));
    connections = (unsigned)atoi(option(argv, "connections", NULL));
    attackers = calloc(connections, sizeof *attackers);
    tls = SSL_CTX_new(TLS_client_method());
    if (!attackers || !tls || RAND_bytes(junk, sizeof junk) != 1 || addresses == 0)
        quit("cannot begin");
    if (kind->version)
        SSL_CTX_set_max_proto_version(tls, kind->version), SSL_CTX_set_min_proto_version(tls, kind->version);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    record_client_hello();
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    ev_prepare turn;
    ev_timer pace;
    if (argc < 2)
        quit("KIND server=IP from=IP addresses=N connections=N [seconds=N]");
    set_up(argv);
    signal(SIGPIPE, SIG_IGN);
    loop = ev_default_loop(0);
    ev_prepare_init(&turn, on_turn);
    ev_prepare_start(loop, &turn);
    ev_timer_init(&pace, on_pace, 0, PACE_SECONDS);
    ev_timer_start(loop, &pace);
    begun = ev_now(loop);
    seconds = atof(option(argv, "seconds", "5"));
    ev_timer_init(&end, on_end, kind->holds ? OPENING_SECONDS + seconds : seconds, 0);
    ev_timer_start(loop, &end);
    ev_run(loop, 0);
    printf("{\"opened\":%u,\"reached\":%u,\"open\":%u}\n", opened, reached, open_now);
    return 0;
}
