/* Sockets as Stile opens them: non-blocking, close-on-exec. Functions return the descriptor or -1 with errno
 * set. */
#ifndef COMMON_SOCK_H
#define COMMON_SOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/netaddr.h"

/* TCP listener; reuse_port lets several workers listen on one address. An IPv6 address takes IPv6 only,
 * except the any-address [::], which takes both. */
int sock_listen_tcp(const struct netaddr *addr, bool reuse_port);
/* The same on one network interface only. */
int sock_listen_tcp_on(const struct netaddr *addr, const char *interface);
int sock_bind_udp(const struct netaddr *addr, bool reuse_port);
/* Whatever is sent from here on may be fragmented on its way. IPv4: no don't-fragment bit, and no learning of
 * path MTUs from whoever sends ICMP. IPv6: this box has to do it, so it has to learn; 1280 is the least that
 * a forger can make it believe. */
void sock_allow_fragments(int fd, uint8_t family);
/* Starts connecting; EINPROGRESS counts as success. TCP_NODELAY is set. */
int sock_connect_tcp(const struct netaddr *addr);
/* Unix stream sockets. The path's old socket is removed; mode 0600. ENAMETOOLONG for long paths. */
int sock_listen_unix(const char *path);
int sock_connect_unix(const char *path);
/* Connected pair, close-on-exec, non-blocking when asked. 0 or -1. */
int sock_pair(int fds[2], bool nonblocking);
void sock_set_nodelay(int fd);
bool sock_set_nonblock(int fd);
bool sock_set_cloexec(int fd);
/* Lets a pipe hold so many bytes, as far as the kernel grants it; does nothing to what is no pipe. */
void sock_widen_pipe(int fd, int bytes);
/* The effective uid at the other end of a Unix socket, or -1. */
long sock_peer_uid(int fd);
/* Local and remote address. */
enum err sock_local(int fd, struct netaddr *out);
enum err sock_remote(int fd, struct netaddr *out);

#endif
