#include "common/tls_gather.h"

#include <string.h>

static struct {
    size_t n;
    uint8_t bytes[TLS_GATHER_MAX];
} gathered;

static int gather_write(BIO *bio, const char *data, int n)
{
    (void)bio;
    if (n <= 0 || (size_t)n > sizeof gathered.bytes - gathered.n)
        return -1; /* a peer that makes us answer more than it lets us send: the connection fails */
    memcpy(gathered.bytes + gathered.n, data, (size_t)n);
    gathered.n += (size_t)n;
    return n;
}

static long gather_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* One for the process; NULL without memory for it. */
static BIO *gather_bio(void)
{
    static BIO *bio;
    static BIO_METHOD *method;
    if (!method && (method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "records")) != NULL) {
        BIO_meth_set_write(method, gather_write);
        BIO_meth_set_ctrl(method, gather_ctrl);
    }
    if (!bio && method && (bio = BIO_new(method)) != NULL)
        BIO_set_init(bio, 1);
    return bio;
}

static void set_wbio(SSL *ssl, BIO *bio)
{
    BIO_up_ref(bio);
    SSL_set0_wbio(ssl, bio);
}

bool tls_gather_begin(SSL *ssl)
{
    BIO *bio = gather_bio();
    if (!bio)
        return false;
    gathered.n = 0;
    set_wbio(ssl, bio);
    return true;
}

bool tls_gather_has_room(void)
{
    return sizeof gathered.bytes - gathered.n >= TLS_RECORD_SEALED;
}

const uint8_t *tls_gather_end(SSL *ssl, size_t *n)
{
    set_wbio(ssl, SSL_get_rbio(ssl));
    *n = gathered.n;
    return gathered.bytes;
}
