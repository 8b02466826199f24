/*
 * A TLS or DTLS client as a plain descriptor: what the test writes to it goes through a real OpenSSL client
 * in a process of its own to the server, and back. Stream sockets for TLS, packets for DTLS; so a test that
 * talks to a TURN server over sockets talks to it over TLS, too. The process ends with the descriptor, or
 * with the test.
 */
#ifndef TESTS_UNIT_TLS_TUNNEL_H
#define TESTS_UNIT_TLS_TUNNEL_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/netaddr.h"
#include "common/sock.h"
#include "common/tls.h"
#include "tests/unit/unit.h"

struct tls_tunnel {
    SSL *ssl;
    int server, test;
};

static inline void tls_tunnel_wait(const struct tls_tunnel *t, int result)
{
    struct pollfd p = {.fd = t->server, .events = POLLIN};
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_WRITE:
        p.events = POLLOUT;
        break;
    case SSL_ERROR_WANT_READ:
        break;
    default:
        _exit(1);
    }
    int timeout = -1;
    struct timeval left;
    if (SSL_is_dtls(t->ssl) && DTLSv1_get_timeout(t->ssl, &left))
        timeout = (int)(left.tv_sec * 1000 + left.tv_usec / 1000 + 1);
    poll(&p, 1, timeout);
    if (SSL_is_dtls(t->ssl))
        DTLSv1_handle_timeout(t->ssl);
}

/* False at the end of what the test says. */
static inline bool tls_tunnel_up(const struct tls_tunnel *t)
{
    static uint8_t data[16384];
    ssize_t n = recv(t->test, data, sizeof data, 0);
    if (n <= 0)
        return false;
    for (int sent; (sent = SSL_write(t->ssl, data, (int)n)) <= 0;)
        tls_tunnel_wait(t, sent);
    return true;
}

static inline void tls_tunnel_down(const struct tls_tunnel *t)
{
    static uint8_t data[16384];
    for (int n; (n = SSL_read(t->ssl, data, sizeof data)) > 0;)
        if (send(t->test, data, (size_t)n, MSG_NOSIGNAL) != n)
            _exit(0);
    if (SSL_get_error(t->ssl, -1) != SSL_ERROR_WANT_READ)
        _exit(0);
}

static inline _Noreturn void tls_tunnel_run(struct tls_tunnel t)
{
    struct pollfd p[2] = {{.fd = t.server, .events = POLLIN}, {.fd = t.test, .events = POLLIN}};
    ERR_clear_error();
    for (int r; (r = SSL_connect(t.ssl)) <= 0;)
        tls_tunnel_wait(&t, r);
    for (;;) {
        tls_tunnel_down(&t);
        poll(p, 2, -1);
        if (p[1].revents && !tls_tunnel_up(&t)) {
            SSL_shutdown(t.ssl);
            _exit(0);
        }
    }
}

/* alpn: in wire format, or NULL. With packets, each record is one packet of the descriptor. The descriptor is
 * there at once, the handshake comes as the server lets it. */
static inline int tls_tunnel_make(const struct netaddr *to, bool dtls, bool packets, const char *alpn)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, (packets ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0, pair),
                     0);
    pid_t parent = getpid();
    if (fork() > 0) {
        close(pair[1]);
        return pair[0];
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(pair[0]);
    if (getppid() != parent)
        _exit(0);
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(to, &sa);
    struct tls_tunnel t = {.server = socket(to->family, (dtls ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0),
                           .test = pair[1]};
    if (connect(t.server, (struct sockaddr *)&sa, n) != 0)
        _exit(1);
    sock_set_nonblock(t.server);
    SSL_CTX *ctx = SSL_CTX_new(dtls ? DTLS_client_method() : TLS_client_method());
    t.ssl = SSL_new(ctx);
    BIO *bio = dtls ? BIO_new_dgram(t.server, BIO_NOCLOSE) : BIO_new_socket(t.server, BIO_NOCLOSE);
    if (dtls)
        BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &sa);
    if (alpn)
        SSL_set_alpn_protos(t.ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    SSL_set_bio(t.ssl, bio, bio);
    tls_tunnel_run(t);
}

static inline int tls_tunnel_open(const struct netaddr *to, bool dtls, const char *alpn)
{
    return tls_tunnel_make(to, dtls, dtls, alpn);
}

#endif
