#include "edge/listeners.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/sock.h"

enum { TURN_ADDRESSES_MAX = LISTENERS_TURN_MAX / TURN_SOCKET_KINDS };

static bool address_is_link_local(const struct netaddr *a)
{
    return a->family == AF_INET6 ? a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80
                                 : a->ip[0] == 169 && a->ip[1] == 254;
}

size_t listeners_local_addresses(struct netaddr *out, size_t most)
{
    struct ifaddrs *all;
    size_t n = 0;
    if (getifaddrs(&all) < 0)
        return 0;
    for (struct ifaddrs *i = all; i && n < most; i = i->ifa_next) {
        struct netaddr a;
        socklen_t len = sizeof(struct sockaddr_in6);
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) ||
            netaddr_from_sockaddr(i->ifa_addr, len, &a) != ERR_OK || address_is_link_local(&a))
            continue;
        a.port = 0;
        out[n++] = a;
    }
    freeifaddrs(all);
    return n;
}

static enum err listeners_problem(const struct netaddr *at, const char *what, char *why)
{
    char text[NETADDR_TEXT];
    const char *remedy = errno == EACCES          ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
                         : errno == EADDRINUSE    ? "; another program has it (ss -lntup shows which)"
                         : errno == EADDRNOTAVAIL ? "; listen_address is no address of this box"
                                                  : "";
    snprintf(why, SCHEMA_WHY, "%s on %s cannot listen: %s%s", what, netaddr_print(at, text), strerror(errno),
             remedy);
    return ERR_SYSTEM;
}

/* Web --------------------------------------------------------------------------------------------------- */

static int web_listen(const struct netaddr *address, long port, struct netaddr *used)
{
    *used = *address;
    used->port = (uint16_t)port;
    if (used->family)
        return sock_listen_tcp(used, true);
    used->family = AF_INET6; /* [::] takes IPv4 as well */
    int fd = sock_listen_tcp(used, true);
    if (fd < 0 && errno == EAFNOSUPPORT) {
        used->family = AF_INET;
        fd = sock_listen_tcp(used, true);
    }
    return fd;
}

enum err web_listeners_open(const struct config_edge *self, struct web_listeners *sets, size_t n, char *why)
{
    struct netaddr at;
    memset(sets, 0, n * sizeof *sets);
    for (size_t i = 0; i < n; i++) {
        int fd = web_listen(&self->listen_ip, self->https_port, &at);
        if (fd < 0)
            goto fail;
        sets[i].https[sets[i].n_https++] = fd;
        if (!self->http_port)
            continue;
        fd = web_listen(&self->listen_ip, self->http_port, &at);
        if (fd < 0)
            goto fail;
        sets[i].http[sets[i].n_http++] = fd;
    }
    return ERR_OK;
fail:
    listeners_problem(&at, at.port == self->https_port ? "HTTPS" : "HTTP", why);
    web_listeners_close(sets, n);
    return ERR_SYSTEM;
}

void web_listeners_close(struct web_listeners *sets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        while (sets[i].n_https > 0)
            close(sets[i].https[--sets[i].n_https]);
        while (sets[i].n_http > 0)
            close(sets[i].http[--sets[i].n_http]);
    }
}

/* TURN -------------------------------------------------------------------------------------------------- */

static bool only_relays(const struct config_edge *self, const struct netaddr *a)
{
    struct netaddr bind, advertised;
    if (netaddr_equal_ip(a, &self->public_ip) || netaddr_equal_ip(a, &self->internal_ip))
        return false;
    for (size_t i = 0; i < self->relay_addresses.n; i++)
        if (config_relay_address(self->relay_addresses.items[i], &bind, &advertised) == ERR_OK &&
            netaddr_equal_ip(a, &bind))
            return true;
    return false;
}

/* Answers have to leave from the address that was asked, so each address has its sockets; where there are
 * too many, those that are there for relays go without. */
static size_t turn_addresses(const struct config_edge *self, struct netaddr *out)
{
    struct netaddr all[LOCAL_ADDRESSES_MAX];
    size_t n = 0, n_all = listeners_local_addresses(all, LOCAL_ADDRESSES_MAX);
    if (self->listen_ip.family) {
        out[0] = self->listen_ip;
        return 1;
    }
    for (int for_relays = 0; for_relays <= 1; for_relays++)
        for (size_t i = 0; i < n_all && n < TURN_ADDRESSES_MAX; i++)
            if (only_relays(self, &all[i]) == (for_relays == 1))
                out[n++] = all[i];
    return n;
}

/* 0: this edge has no socket of that kind. A TLS port that is one of the others' is that one: those take TLS
 * and DTLS as well. */
static uint16_t turn_port(const struct config_edge *self, enum turn_socket_kind kind)
{
    switch (kind) {
    case TURN_SOCKET_UDP:
        return (uint16_t)self->turn_udp_port;
    case TURN_SOCKET_TCP:
        return (uint16_t)self->turn_tcp_port;
    case TURN_SOCKET_DTLS:
        return (uint16_t)(self->turn_tls_port == self->turn_udp_port ? 0 : self->turn_tls_port);
    case TURN_SOCKET_TLS:
        return (uint16_t)(self->turn_tls_port == self->turn_tcp_port ? 0 : self->turn_tls_port);
    case TURN_SOCKET_KINDS:
        break;
    }
    return 0;
}

/* The sockets of one worker on one address. errno says why not, *at and *kind which. */
static enum err turn_address_open(const struct config_edge *self, struct turn_listeners *set,
                                  struct netaddr *at, enum turn_socket_kind *kind)
{
    for (*kind = 0; *kind < TURN_SOCKET_KINDS; (*kind)++) {
        at->port = turn_port(self, *kind);
        if (!at->port)
            continue;
        if (turn_socket_open(*kind, at, &set->sockets[set->n]) == ERR_OK)
            set->n++;
        else if (errno != EADDRNOTAVAIL || self->listen_ip.family)
            return ERR_SYSTEM; /* else an address still in duplicate detection, or just removed */
    }
    return ERR_OK;
}

enum err turn_listeners_open(const struct config_edge *self, struct turn_listeners *sets, size_t n, char *why)
{
    struct netaddr addresses[TURN_ADDRESSES_MAX];
    size_t n_addresses = turn_addresses(self, addresses);
    memset(sets, 0, n * sizeof *sets);
    for (size_t i = 0; i < n * n_addresses; i++) {
        struct netaddr at = addresses[i % n_addresses];
        enum turn_socket_kind kind;
        if (turn_address_open(self, &sets[i / n_addresses], &at, &kind) == ERR_OK)
            continue;
        listeners_problem(&at, turn_socket_words(kind), why);
        turn_listeners_close(sets, n);
        return ERR_SYSTEM;
    }
    return ERR_OK;
}

void turn_listeners_close(struct turn_listeners *sets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        while (sets[i].n > 0)
            close(sets[i].sockets[--sets[i].n].fd);
}
