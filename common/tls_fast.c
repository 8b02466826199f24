#include "common/tls_fast.h"

#include <openssl/crypto.h>
#include <stddef.h>

enum {
    FAST_READ = 68 * 1024,         /* four full records */
    OPENSSL_IN_LAYERS = 0x30200000 /* OpenSSL 3.2 */
};

static struct tls_fast *places[TLS_FAST_MOST];
static size_t last; /* the place that was taken last: who is idle loses its own in turn */

/* NULL: all are in use. */
static struct tls_fast **find_place(void)
{
    size_t of_idle = TLS_FAST_MOST;
    for (size_t n = 1; n <= TLS_FAST_MOST; n++) {
        size_t i = (last + n) % TLS_FAST_MOST;
        if (!places[i])
            return &places[last = i];
        if (places[i]->idle && of_idle == TLS_FAST_MOST)
            of_idle = i;
    }
    return of_idle < TLS_FAST_MOST ? &places[last = of_idle] : NULL;
}

/* Since 3.2 OpenSSL takes the size over with new keys only: never for most, and for good for those who renew
 * theirs meanwhile. */
static bool can_be_changed(void)
{
    return OpenSSL_version_num() < OPENSSL_IN_LAYERS;
}

void tls_fast_begin(struct tls_fast *f, SSL *ssl)
{
    if (f->place || !can_be_changed())
        return;
    struct tls_fast **place = find_place();
    if (!place)
        return;
    if (*place)
        tls_fast_end(*place);
    *place = f;
    f->place = place;
    f->ssl = ssl;
    SSL_set_default_read_buffer_len(ssl, FAST_READ);
}

void tls_fast_end(struct tls_fast *f)
{
    if (!f->place)
        return;
    SSL_set_default_read_buffer_len(f->ssl, 0); /* OpenSSL's own: one record */
    *f->place = NULL;
    f->place = NULL;
}
