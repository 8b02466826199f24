/*
 * The least that a relay can do: one socket towards clients, one towards the peer per client, told apart by
 * the client's port alone; bursts in with recvmmsg, out with sendmmsg, one call per socket. No parsing, no
 * permissions, no signalling. What Stile's relay costs more than this is what TURN costs.
 *
 *   turn_bare LISTEN-IP:PORT OUT-IP PEER-IP:PORT
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/sock.h"
#include "tests/bench/bench.h"

enum { BURST = 64, PACKET = 2048, EVENTS = 256, PORTS = 65536, BUFFER = 4 * 1024 * 1024 };

struct flow {
    int fd;
    struct sockaddr_in client;
};

static struct mmsghdr in[BURST], out[BURST];
static struct iovec data[BURST];
static struct sockaddr_in from[BURST];
static uint8_t memory[BURST][PACKET];
static struct flow *flows[PORTS]; /* by the client's port */
static int listening, epoll;
static struct sockaddr_in peer;
static struct netaddr outside;

static void watch(int fd, struct flow *f)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = f};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static struct flow *flow_of(const struct sockaddr_in *client)
{
    struct flow **f = &flows[ntohs(client->sin_port)];
    if (!*f) {
        *f = calloc(1, sizeof **f);
        if (!*f || ((*f)->fd = sock_bind_udp(&outside, false)) < 0)
            bench_fail("no socket for another flow");
        (*f)->client = *client;
        watch((*f)->fd, *f);
    }
    return *f;
}

static void send_all(int fd, struct mmsghdr *m, int n)
{
    for (int sent = 0, r; sent < n; sent += r)
        if ((r = sendmmsg(fd, m + sent, (unsigned)(n - sent), MSG_DONTWAIT)) <= 0)
            return;
}

static int receive(int fd)
{
    for (int i = 0; i < BURST; i++) {
        in[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &data[i], .msg_iovlen = 1};
        data[i] = (struct iovec){memory[i], PACKET};
    }
    int n = recvmmsg(fd, in, BURST, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++)
        data[i].iov_len = in[i].msg_len;
    return n;
}

static void from_peer(struct flow *f)
{
    int n = receive(f->fd);
    for (int i = 0; i < n; i++)
        from[i] = f->client;
    send_all(listening, in, n);
}

/* What is for the same flow leaves together. */
static void from_clients(void)
{
    bool done[BURST] = {false};
    int n = receive(listening);
    for (int i = 0; i < n; i++) {
        if (done[i])
            continue;
        int k = 0;
        for (int j = i; j < n; j++)
            if (!done[j] && from[j].sin_port == from[i].sin_port) {
                done[j] = true;
                out[k].msg_hdr = in[j].msg_hdr;
                out[k].msg_hdr.msg_name = &peer;
                out[k++].msg_hdr.msg_namelen = sizeof peer;
            }
        send_all(flow_of(&from[i])->fd, out, k);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_storage sa;
    struct epoll_event events[EVENTS];
    if (argc != 4)
        bench_fail("usage: turn_bare LISTEN-IP:PORT OUT-IP PEER-IP:PORT");
    struct netaddr listen = bench_address(argv[1]), to = bench_address(argv[3]);
    outside = bench_address(argv[2]);
    netaddr_to_sockaddr(&to, &sa);
    memcpy(&peer, &sa, sizeof peer);
    bench_raise_descriptors();
    listening = sock_bind_udp(&listen, false);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (listening < 0 || epoll < 0)
        bench_fail("cannot listen on %s", argv[1]);
    int size = BUFFER;
    setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(listening, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    watch(listening, NULL);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                from_peer(events[i].data.ptr);
            else
                from_clients();
        }
    }
}
