/*
 * A flood: TURN requests without credentials from addresses that are made up, as fast as this machine sends.
 *
 *   turn_flood interface=IF to_mac=MAC to=IP:PORT from=NET count=N [seed=N]
 *
 * Frames go to an interface, past this machine's own routing: from=11.0.0.0/8 makes up addresses of that net.
 * In turn: a bare Allocate, a Binding request, junk, an Allocate with a forged nonce and integrity,
 * ChannelData. Prints what was sent, in how many milliseconds, and ends. Takes root.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/netaddr.h"
#include "proto/chandata.h"
#include "proto/stun_msg.h"

enum { BATCH = 64, FRAME = 400, HEAD = ETHER_HDR_LEN + sizeof(struct iphdr) + sizeof(struct udphdr) };
enum kind { BARE_ALLOCATE, BINDING, JUNK, FORGED, CHANNEL_DATA, KINDS };

static uint8_t frames[BATCH][FRAME];
static struct iovec data[BATCH];
static struct mmsghdr messages[BATCH];
static struct sockaddr_ll out = {.sll_family = AF_PACKET, .sll_halen = ETHER_ADDR_LEN};
static struct netaddr to;
static struct netcidr net;
static uint64_t state;

static _Noreturn void quit(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("turn_flood: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static const char *option(char **argv, const char *key, const char *fallback)
{
    size_t n = strlen(key);
    for (char **a = argv + 1; *a; a++)
        if (strncmp(*a, key, n) == 0 && (*a)[n] == '=')
            return *a + n + 1;
    if (!fallback)
        quit("%s=... is missing", key);
    return fallback;
}

/* xorshift64*: made up is enough, it is not to be secret. */
static uint64_t draw(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dU;
}

static void draw_bytes(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(draw() >> 32);
}

static size_t message_make(enum kind kind, uint8_t *message)
{
    uint8_t noise[48], transaction[STUN_TRANSACTION];
    struct stun_writer w;
    size_t n = 0;
    draw_bytes(transaction, sizeof transaction);
    draw_bytes(noise, sizeof noise);
    if (kind == JUNK) {
        draw_bytes(message, 120);
        return 120;
    }
    if (kind == CHANNEL_DATA) {
        chandata_write_header(message, (uint16_t)(CHANDATA_FIRST + draw() % 4096), 160);
        draw_bytes(message + CHANDATA_HEADER, 160);
        return CHANDATA_HEADER + 160;
    }
    stun_begin(&w, message, FRAME - HEAD, kind == BINDING ? STUN_METHOD_BINDING : STUN_METHOD_ALLOCATE,
               STUN_REQUEST, transaction);
    if (kind != BINDING)
        stun_put_u32(&w, STUN_REQUESTED_TRANSPORT, 17u << 24);
    if (kind == FORGED) {
        stun_put(&w, STUN_USERNAME, "guest", 5);
        stun_put(&w, STUN_REALM, "join.example.com", 16);
        stun_put(&w, STUN_NONCE, "obMatJos2AAACAAAAAAAAAAAAAAA=", 29);
        stun_put(&w, STUN_MESSAGE_INTEGRITY, noise, 20);
    }
    if (stun_end(&w, &n) != ERR_OK)
        quit("a message does not fit");
    return n;
}

static uint16_t ip_checksum(const struct iphdr *ip)
{
    uint16_t words[sizeof *ip / 2];
    uint32_t sum = 0;
    memcpy(words, ip, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        sum += words[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Without a UDP checksum, which IPv4 allows. */
static size_t frame_make(enum kind kind, uint8_t *frame)
{
    size_t n = message_make(kind, frame + HEAD);
    struct ether_header ether = {.ether_type = htons(ETHERTYPE_IP)};
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};
    struct udphdr udp = {.dest = htons(to.port)};
    uint32_t host = (uint32_t)draw() & (uint32_t)((UINT64_C(1) << (32 - net.bits)) - 1), base;
    memcpy(&base, net.ip, 4);
    memcpy(ether.ether_dhost, out.sll_addr, ETHER_ADDR_LEN);
    ether.ether_shost[0] = 2;
    ip.saddr = base | htonl(host);
    memcpy(&ip.daddr, to.ip, 4);
    ip.tot_len = htons((uint16_t)(sizeof ip + sizeof udp + n));
    ip.check = ip_checksum(&ip);
    udp.source = htons((uint16_t)(1024 + draw() % 60000));
    udp.len = htons((uint16_t)(sizeof udp + n));
    memcpy(frame, &ether, sizeof ether);
    memcpy(frame + sizeof ether, &ip, sizeof ip);
    memcpy(frame + sizeof ether + sizeof ip, &udp, sizeof udp);
    return HEAD + n;
}

static int flood_socket(const char *interface)
{
    int on = 1, fd = socket(AF_PACKET, SOCK_RAW, 0);
    out.sll_ifindex = (int)if_nametoindex(interface);
    if (fd < 0 || out.sll_ifindex == 0)
        quit("%s: %s", interface, strerror(errno));
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
    return fd;
}

static void options_read(char **argv)
{
    unsigned mac[6];
    if (netaddr_parse(option(argv, "to", NULL), 0, &to) != ERR_OK || to.family != AF_INET)
        quit("to: not IP:PORT of IPv4");
    if (netcidr_parse(option(argv, "from", NULL), &net) != ERR_OK || net.family != AF_INET)
        quit("from: not a net of IPv4");
    if (sscanf(option(argv, "to_mac", NULL), "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
               &mac[5]) != 6)
        quit("to_mac: not an address of Ethernet");
    for (int i = 0; i < 6; i++)
        out.sll_addr[i] = (uint8_t)mac[i];
    state = strtoull(option(argv, "seed", "1"), NULL, 10) | 1;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    (void)argc;
    options_read(argv);
    int fd = flood_socket(option(argv, "interface", NULL));
    unsigned long count = strtoul(option(argv, "count", NULL), NULL, 10), sent = 0, kind = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &out, .msg_namelen = sizeof out, .msg_iov = &data[i], .msg_iovlen = 1};
        data[i].iov_base = frames[i];
    }
    double begin = seconds();
    while (sent < count) {
        unsigned batch = count - sent < BATCH ? (unsigned)(count - sent) : BATCH;
        for (unsigned i = 0; i < batch; i++)
            data[i].iov_len = frame_make((enum kind)(kind++ % KINDS), frames[i]);
        for (unsigned done = 0; done < batch;) {
            int n = sendmmsg(fd, messages + done, batch - done, 0);
            if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
                quit("sending: %s", strerror(errno));
            done += n > 0 ? (unsigned)n : 0;
        }
        sent += batch;
    }
    printf("sent %lu ms %.0f\n", sent, (seconds() - begin) * 1000);
    return 0;
}
