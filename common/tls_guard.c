#include "common/tls_guard.h"

/* OpenSSL shows records' heads and whole messages; it takes no answer, so on_socket gives it. */
static void on_message(int is_ours, int version, int type, const void *data, size_t n, SSL *ssl, void *arg)
{
    struct tls_guard *g = arg;
    const uint8_t *head = data;
    (void)version, (void)ssl;
    if (type == SSL3_RT_HEADER && n == SSL3_RT_HEADER_LENGTH)
        g->bytes += (uint64_t)head[3] << 8 | head[4];
    if (type == SSL3_RT_ALERT && !is_ours && n == 2)
        g->ended |= head[1] == SSL_AD_CLOSE_NOTIFY;
    if (type == SSL3_RT_HANDSHAKE && !is_ours)
        g->broken |= ++g->messages > TLS_GUARD_MESSAGES + g->bytes / TLS_GUARD_EARNS;
}

static long on_socket(BIO *bio, int operation, const char *data, size_t n, int argi, long argl, int result,
                      size_t *done)
{
    const struct tls_guard *g = (const void *)BIO_get_callback_arg(bio);
    (void)data, (void)n, (void)argi, (void)argl, (void)done;
    if (!g->broken || (operation != BIO_CB_READ && operation != BIO_CB_WRITE))
        return result;
    BIO_clear_retry_flags(bio);
    return -1;
}

void tls_guard_watch(SSL *ssl, struct tls_guard *guard)
{
    BIO *bio = SSL_get_rbio(ssl);
    SSL_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, guard);
    BIO_set_callback_arg(bio, (char *)guard);
    BIO_set_callback_ex(bio, on_socket);
}
