/* A certificate of the box's own for a service that no authority has to know: people compare its fingerprint,
 * once. */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/admin/admin_private.h"
#include "common/file.h"
#include "common/tls.h"
#include "common/tls_identity.h"

#define OWN_FILE "admin.pem"

enum { OWN_DAYS = 825, OWN_LEFT = 30 * 86400, OWN_MAX = 256 * 1024 };

static bool certificate_lasts(const char *pem)
{
    struct tls_identity id;
    char why[256];
    time_t then = time(NULL) + OWN_LEFT;
    if (tls_identity_read(pem, pem, &id, why, sizeof why) != ERR_OK)
        return false;
    bool lasts = X509_cmp_time(X509_get0_notAfter(id.leaf), &then) > 0;
    tls_identity_free(&id);
    return lasts;
}

static enum err certificate_make(const char *path, const char *name, char **pem, char *why)
{
    char *cert = NULL, *key = NULL, *both = NULL;
    enum err e = tls_self_signed(name, OWN_DAYS, &cert, &key);
    if (e != ERR_OK) {
        snprintf(why, SCHEMA_WHY, "self-made certificate: %s", err_str(e));
        return e;
    }
    e = asprintf(&both, "%s%s", cert, key) < 0 ? ERR_MEMORY : ERR_OK;
    free(cert);
    file_wipe(key);
    if (e == ERR_OK)
        e = file_write(path, both, strlen(both), 0600, why, SCHEMA_WHY);
    if (e == ERR_OK)
        *pem = both;
    else
        file_wipe(both);
    return e;
}

enum err admin_certificate_own(const struct box *box, const char *name, char **pem, char *why)
{
    char path[PATH_MAX], *text;
    enum err e = file_read_secret(box_state_file(box, OWN_FILE, path), OWN_MAX, &text, NULL, why, SCHEMA_WHY);
    if (e == ERR_OK && certificate_lasts(text)) {
        *pem = text;
        return ERR_OK;
    }
    if (e == ERR_OK)
        file_wipe(text);
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = certificate_make(path, name, pem, why);
    return e;
}

void admin_certificate_fingerprint(const char *pem, char out[100])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct tls_identity id;
    char why[256];
    *out = '\0';
    if (!pem || tls_identity_read(pem, NULL, &id, why, sizeof why) != ERR_OK)
        return;
    if (X509_digest(id.leaf, EVP_sha256(), hash, &n) == 1)
        for (unsigned i = 0; i < n && i < 32; i++)
            snprintf(out + 3 * i, 4, "%02X%s", hash[i], i + 1 < n ? ":" : "");
    tls_identity_free(&id);
}
