/*
 * Addresses: one IPv4 or IPv6 address with a port, and networks in CIDR notation.
 * IPv4-mapped IPv6 addresses (::ffff:a.b.c.d) are stored as IPv4 by every function that makes a netaddr, so
 * that one host has one notation.
 */
#ifndef COMMON_NETADDR_H
#define COMMON_NETADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/err.h"

struct netaddr {
    uint8_t family; /* AF_INET, AF_INET6, or 0: none */
    uint16_t port;  /* host order */
    uint8_t ip[16]; /* network order; 4 bytes used for AF_INET, the rest zero */
};

struct netcidr {
    uint8_t family;
    uint8_t bits;
    uint8_t ip[16];
};

enum { NETADDR_TEXT = 64 };

/* "192.0.2.1", "2001:db8::1", "192.0.2.1:443", "[2001:db8::1]:443"; the port is default_port where none is
 * given. Numeric only. ERR_MALFORMED. */
enum err netaddr_parse(const char *text, uint16_t default_port, struct netaddr *out);
/* "IP:PORT" or "[IP6]:PORT" (the port left out when 0) into text[NETADDR_TEXT]; returns text. */
const char *netaddr_print(const struct netaddr *a, char *text);
/* The address alone, no port. */
const char *netaddr_print_ip(const struct netaddr *a, char *text);
/* From and to the socket form; scope ids are dropped. ERR_UNSUPPORTED for other families. */
enum err netaddr_from_sockaddr(const struct sockaddr *sa, socklen_t n, struct netaddr *out);
/* Returns the length used. family 0 fills AF_UNSPEC. */
socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *out);
/* The same IPv4 address in the form an AF_INET6 socket wants (::ffff:a.b.c.d). */
socklen_t netaddr_to_sockaddr_mapped(const struct netaddr *a, struct sockaddr_storage *out);
bool netaddr_equal(const struct netaddr *a, const struct netaddr *b);    /* address and port */
bool netaddr_equal_ip(const struct netaddr *a, const struct netaddr *b); /* address alone */
bool netaddr_is_any(const struct netaddr *a);
static inline uint8_t netaddr_ip_len(uint8_t family)
{
    return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

/* "10.0.0.0/8", "2001:db8::/32", or one address. Host bits must be zero. ERR_MALFORMED. */
enum err netcidr_parse(const char *text, struct netcidr *out);
bool netcidr_contains(const struct netcidr *net, const struct netaddr *a);
const char *netcidr_print(const struct netcidr *net, char *text);

/* "HOST[:PORT]" split without resolving: name or address into host[256]. Brackets are taken off IPv6.
 * ERR_MALFORMED, ERR_TOO_LONG. */
enum err hostport_parse(const char *text, uint16_t default_port, char host[256], uint16_t *port);

#endif
