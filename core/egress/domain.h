/*
 * The domains of a policy, as requests meet them: a join host, whom its bridges must prove to be, and which
 * bridges there are. Targets, connections and TLS sessions belong to one domain and serve no other, also
 * where two domains have a bridge at the same address.
 *
 * A domain lives as long as it is listed or has targets; those live as long as they have connections.
 */
#ifndef CORE_EGRESS_DOMAIN_H
#define CORE_EGRESS_DOMAIN_H

#include <jansson.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/err.h"
#include "core/egress/target_set.h"

struct domain {
    TAILQ_ENTRY(domain) next;
    char host[256]; /* the join host: SNI, and the name that certificates must bear */
    json_t *hosts;  /* texts: the hosts whose requests are this domain's */
    char *ca;       /* PEM text, NULL: the system's */
    SSL_CTX *tls;
    unsigned generation; /* counts changes of ca: what was verified before is not used after */
    bool listed;
    struct target_set targets;
    uint64_t requests; /* sent to its targets, or tried to be */
};

TAILQ_HEAD(domain_list, domain);

/* Reads rows, [{host, hosts: [host, …], bridge_ca: PEM text or null}], into fresh, which must be empty:
 * domains that are not in force yet. ERR_CONFIG with words, ERR_MEMORY; fresh is empty then. on_session is
 * what OpenSSL calls with a session of one of their connections. */
enum err domain_list_read(const json_t *rows, struct domain_list *fresh,
                          int (*on_session)(SSL *ssl, SSL_SESSION *session), char *why, size_t why_size);
/* Takes over d's hosts, and its CA when it differs: true then, and d's sessions are dropped. */
bool domain_update(struct domain *d, struct domain *fresh);
/* Neither in a list nor with connections. */
void domain_free(struct domain *d);
/* NULL when there is none of that name. */
struct domain *domain_find(const struct domain_list *all, const char *host);
/* Whose bridges serve requests for host; NULL: nobody's. Of listed domains. */
struct domain *domain_serving(const struct domain_list *all, const char *host);
/* Frees what is neither listed nor has targets. */
void domain_list_prune(struct domain_list *all);
/* No target may have connections. */
void domain_list_free(struct domain_list *all);

#endif
