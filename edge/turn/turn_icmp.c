#include "edge/turn/turn_icmp.h"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/turn/turn_permission.h"
#include "proto/stun_msg.h"

enum { ERRORS_AT_ONCE = 16 };

void turn_icmp_wanted(int fd, uint8_t family)
{
    int on = 1;
    bool six = family == AF_INET6;
    setsockopt(fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on);
}

static const struct sock_extended_err *error_of(struct msghdr *h)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            return (const struct sock_extended_err *)(const void *)CMSG_DATA(c);
    return NULL;
}

void turn_icmp_read(struct turn_relay *r, int fd)
{
    for (int i = 0; i < ERRORS_AT_ONCE; i++) {
        union {
            struct cmsghdr align;
            char bytes[512];
        } control;
        struct sockaddr_in6 to; /* of the packet that caused it */
        struct msghdr h = {.msg_name = &to,
                           .msg_namelen = sizeof to,
                           .msg_control = &control,
                           .msg_controllen = sizeof control};
        struct netaddr peer;
        if (recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        const struct sock_extended_err *e = error_of(&h);
        /* What this box itself has against a packet is not ICMP, and was counted where it was sent. */
        if (e && (e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6) &&
            netaddr_from_sockaddr((struct sockaddr *)&to, h.msg_namelen, &peer) == ERR_OK)
            turn_icmp_report(r, &peer, e->ee_type, e->ee_code, e->ee_info);
    }
}

/* RFC 8656 §11.5: which types there are for clients. */
static bool is_told(uint8_t family, uint8_t type)
{
    if (family == AF_INET)
        return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED;
    return type == ICMP6_DST_UNREACH || type == ICMP6_PACKET_TOO_BIG || type == ICMP6_TIME_EXCEEDED;
}

static bool is_too_big(uint8_t family, uint8_t type, uint8_t code)
{
    return family == AF_INET ? type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED
                             : type == ICMP6_PACKET_TOO_BIG;
}

static bool is_allowed_now(struct turn_allocation *a)
{
    if (a->icmp_second != a->server->now) {
        a->icmp_second = a->server->now;
        a->icmp_told = 0;
    }
    return a->icmp_told++ < TURN_ICMP_A_SECOND;
}

void turn_icmp_report(struct turn_relay *r, const struct netaddr *peer, uint8_t type, uint8_t code,
                      uint32_t data)
{
    struct turn_server *s = r->server;
    struct turn_allocation *a = r->allocation;
    struct netaddr known = turn_server_canonical(s, peer);
    if (!a || !is_told(known.family, type) || !turn_permission_find(a, &known) || !is_allowed_now(a))
        return;
    uint8_t message[128], transaction[STUN_TRANSACTION];
    /* 16 bits reserved, 7 of type, 9 of code; what does not fit is no type that is told. */
    uint32_t mtu = is_too_big(known.family, type, code) ? data : 0;
    uint8_t value[8] = {0,
                        0,
                        (uint8_t)(type << 1),
                        code,
                        (uint8_t)(mtu >> 24),
                        (uint8_t)(mtu >> 16),
                        (uint8_t)(mtu >> 8),
                        (uint8_t)mtu};
    struct stun_writer w;
    size_t n;
    turn_server_random(s, transaction, sizeof transaction);
    stun_begin(&w, message, sizeof message, STUN_METHOD_DATA_INDICATION, STUN_INDICATION, transaction);
    stun_put_xor_address(&w, STUN_XOR_PEER_ADDRESS, &known);
    stun_put(&w, STUN_ICMP, value, sizeof value);
    if (stun_end(&w, &n) != ERR_OK)
        return;
    s->counters.events[TURN_EVENT_icmp]++;
    a->client.ops->reply(&a->client, message, n);
}
