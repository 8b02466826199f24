#include "common/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCK_BACKLOG = 4096 };

static int sock_close(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int sock_bind(const struct netaddr *addr, int type, bool reuse_port)
{
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(addr, &sa);
    int on = 1, v6only = addr->family == AF_INET6 && !netaddr_is_any(addr);
    int fd = socket(addr->family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* A UDP socket without SO_REUSEPORT shall fail where the port is taken, so no SO_REUSEADDR there. */
    if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return sock_close(fd);
    if (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
        return sock_close(fd);
    if (addr->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only) < 0)
        return sock_close(fd);
    if (bind(fd, (struct sockaddr *)&sa, n) < 0)
        return sock_close(fd);
    return fd;
}

int sock_listen_tcp(const struct netaddr *addr, bool reuse_port)
{
    int fd = sock_bind(addr, SOCK_STREAM, reuse_port);
    if (fd >= 0 && listen(fd, SOCK_BACKLOG) < 0)
        return sock_close(fd);
    return fd;
}

int sock_listen_tcp_on(const struct netaddr *addr, const char *interface)
{
    int fd = sock_bind(addr, SOCK_STREAM, false);
    if (fd < 0)
        return fd;
    /* Before it listens, so that nobody gets in from elsewhere. */
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) < 0 ||
        listen(fd, SOCK_BACKLOG) < 0)
        return sock_close(fd);
    return fd;
}

int sock_bind_udp(const struct netaddr *addr, bool reuse_port)
{
    return sock_bind(addr, SOCK_DGRAM, reuse_port);
}

void sock_allow_fragments(int fd, uint8_t family)
{
    /* With OMIT, IPv6 would neither report nor heed Packet Too Big. */
    int four = IP_PMTUDISC_OMIT, six = IPV6_PMTUDISC_DONT;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &six, sizeof six);
    else
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &four, sizeof four);
}

int sock_connect_tcp(const struct netaddr *addr)
{
    struct sockaddr_storage sa;
    socklen_t n = netaddr_to_sockaddr(addr, &sa);
    int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    sock_set_nodelay(fd);
    if (connect(fd, (struct sockaddr *)&sa, n) < 0 && errno != EINPROGRESS)
        return sock_close(fd);
    return fd;
}

static int sock_unix_address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof out->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(out->sun_path, path, strlen(path));
    return 0;
}

int sock_listen_unix(const char *path)
{
    struct sockaddr_un sa;
    struct stat st;
    if (sock_unix_address(path, &sa) < 0)
        return -1;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    mode_t old = umask(0177);
    int bound = bind(fd, (struct sockaddr *)&sa, sizeof sa);
    umask(old);
    if (bound < 0 || listen(fd, 64) < 0)
        return sock_close(fd);
    return fd;
}

int sock_connect_unix(const char *path)
{
    struct sockaddr_un sa;
    if (sock_unix_address(path, &sa) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
        return sock_close(fd);
    return fd;
}

int sock_pair(int fds[2], bool nonblocking)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0, fds);
}

void sock_set_nodelay(int fd)
{
    int on = 1;
    /* Fails on sockets that are not TCP, where there is nothing to delay. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool sock_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

bool sock_set_cloexec(int fd)
{
    int flags = fcntl(fd, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0);
}

void sock_widen_pipe(int fd, int bytes)
{
    int now = fcntl(fd, F_GETPIPE_SZ);
    if (now >= 0 && now < bytes)
        (void)fcntl(fd, F_SETPIPE_SZ, bytes); /* a pipe of 64 KiB works as well, only dearer */
}

long sock_peer_uid(int fd)
{
    struct ucred cred;
    socklen_t n = sizeof cred;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) == 0 ? (long)cred.uid : -1;
}

enum err sock_local(int fd, struct netaddr *out)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    return getsockname(fd, (struct sockaddr *)&sa, &n) < 0
               ? ERR_SYSTEM
               : netaddr_from_sockaddr((struct sockaddr *)&sa, n, out);
}

enum err sock_remote(int fd, struct netaddr *out)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    return getpeername(fd, (struct sockaddr *)&sa, &n) < 0
               ? ERR_SYSTEM
               : netaddr_from_sockaddr((struct sockaddr *)&sa, n, out);
}
