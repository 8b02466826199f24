#include "common/admin/admin_sessions.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/fatal.h"

struct session {
    unsigned char hash[32];
    char user[ADMIN_NAME_MAX + 1]; /* "": free */
    enum admin_role role;
    double begun, used;
};

struct admin_sessions {
    struct session all[ADMIN_SESSIONS];
};

/* Texts ----------------------------------------------------------------------------------------------------
 */

/* RFC 4648 §5, without padding. */
static void base64url(const unsigned char *bytes, char out[ADMIN_TOKEN_TEXT])
{
    EVP_EncodeBlock((unsigned char *)out, bytes, 32);
    for (char *p = out; *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    out[strcspn(out, "=")] = '\0';
}

void admin_token_make(char out[ADMIN_TOKEN_TEXT])
{
    unsigned char bytes[32];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        fatal("no random bytes");
    base64url(bytes, out);
    OPENSSL_cleanse(bytes, sizeof bytes);
}

void admin_token_hash(const char *token, unsigned char out[32])
{
    SHA256((const unsigned char *)token, strlen(token), out);
}

void admin_csrf_of(const char *token, char out[ADMIN_TOKEN_TEXT])
{
    unsigned char bytes[32];
    char text[160];
    snprintf(text, sizeof text, "stile csrf %.128s", token);
    SHA256((const unsigned char *)text, strlen(text), bytes);
    base64url(bytes, out);
    OPENSSL_cleanse(text, sizeof text);
}

bool admin_csrf_right(const char *token, const char *given)
{
    char wanted[ADMIN_TOKEN_TEXT];
    admin_csrf_of(token, wanted);
    size_t n = strlen(wanted);
    return strlen(given) == n && CRYPTO_memcmp(wanted, given, n) == 0;
}

/* Sessions -------------------------------------------------------------------------------------------------
 */

struct admin_sessions *admin_sessions_new(void)
{
    return calloc(1, sizeof(struct admin_sessions));
}

void admin_sessions_free(struct admin_sessions *s)
{
    if (s)
        OPENSSL_cleanse(s, sizeof *s);
    free(s);
}

static void session_end(struct session *one)
{
    OPENSSL_cleanse(one, sizeof *one);
}

static bool session_lives(struct session *one, double now)
{
    if (*one->user && (now - one->used >= ADMIN_SESSION_IDLE || now - one->begun >= ADMIN_SESSION_WHOLE))
        session_end(one);
    return *one->user != '\0';
}

/* A free place, or that of the one (of user, where it has its share) that has been idle longest. */
static struct session *session_place(struct admin_sessions *s, const char *user, double now)
{
    struct session *free_one = NULL, *oldest = NULL, *own = NULL;
    size_t n_own = 0;
    for (size_t i = 0; i < ADMIN_SESSIONS; i++) {
        struct session *one = &s->all[i];
        if (!session_lives(one, now)) {
            free_one = one;
            continue;
        }
        if (!oldest || one->used < oldest->used)
            oldest = one;
        if (strcasecmp(one->user, user) != 0)
            continue;
        n_own++;
        if (!own || one->used < own->used)
            own = one;
    }
    return n_own >= ADMIN_SESSIONS_PER_USER ? own : free_one ? free_one : oldest;
}

void admin_sessions_begin(struct admin_sessions *s, const char *user, enum admin_role role, double now,
                          char token[ADMIN_TOKEN_TEXT])
{
    struct session *one = session_place(s, user, now);
    session_end(one);
    admin_token_make(token);
    admin_token_hash(token, one->hash);
    snprintf(one->user, sizeof one->user, "%s", user);
    one->role = role;
    one->begun = one->used = now;
}

static struct session *session_find(struct admin_sessions *s, const char *token)
{
    unsigned char hash[32];
    admin_token_hash(token, hash);
    for (size_t i = 0; i < ADMIN_SESSIONS; i++)
        if (*s->all[i].user && CRYPTO_memcmp(s->all[i].hash, hash, sizeof hash) == 0)
            return &s->all[i];
    return NULL;
}

const char *admin_sessions_find(struct admin_sessions *s, const char *token, bool touch, double now,
                                enum admin_role *role)
{
    struct session *one = session_find(s, token);
    if (!one || !session_lives(one, now))
        return NULL;
    if (touch)
        one->used = now;
    *role = one->role;
    return one->user;
}

void admin_sessions_end(struct admin_sessions *s, const char *token)
{
    struct session *one = session_find(s, token);
    if (one)
        session_end(one);
}

void admin_sessions_end_user(struct admin_sessions *s, const char *user, const char *but)
{
    const struct session *keep = but ? session_find(s, but) : NULL;
    for (size_t i = 0; i < ADMIN_SESSIONS; i++)
        if (&s->all[i] != keep && strcasecmp(s->all[i].user, user) == 0)
            session_end(&s->all[i]);
}

size_t admin_sessions_count(struct admin_sessions *s, const char *user, double now)
{
    size_t n = 0;
    for (size_t i = 0; i < ADMIN_SESSIONS; i++)
        n += session_lives(&s->all[i], now) && (!user || strcasecmp(s->all[i].user, user) == 0);
    return n;
}
