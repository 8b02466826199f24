/* The socket of the service: main's, so that a low port needs no privilege in the worker, and a worker that
 * dies loses no connection that waits. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/admin/admin_private.h"
#include "common/sock.h"

static int listener_try(struct netaddr *at, const char *interface)
{
    return *interface ? sock_listen_tcp_on(at, interface) : sock_listen_tcp(at, false);
}

static void listener_describe(struct admin *a, const struct netaddr *at, bool open)
{
    char text[NETADDR_TEXT];
    const char *interface = a->place->interface;
    int why = errno;
    netaddr_print(at, text);
    snprintf(a->listening, sizeof a->listening, "%s%s%s", open ? text : "", open && *interface ? " on " : "",
             open ? interface : "");
    if (open) {
        *a->problem = '\0';
        return;
    }
    const char *remedy = why == EACCES || why == EPERM
                             ? "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
                         : why == EADDRINUSE    ? "; another program has it (ss -lntp shows which)"
                         : why == EADDRNOTAVAIL ? "; admin_address is no address of this box"
                         : why == ENODEV        ? "; this box has no such interface"
                                                : "";
    snprintf(a->problem, sizeof a->problem, "%s%s%s cannot listen: %s%s", text, *interface ? " on " : "",
             interface, strerror(why), remedy);
}

void admin_listener_open(struct admin *a)
{
    struct netaddr at = a->place->ip;
    char before[SCHEMA_WHY];
    snprintf(before, sizeof before, "%s", a->problem);
    at.port = (uint16_t)a->place->port;
    if (!at.family)
        at.family = AF_INET6; /* [::] takes IPv4 as well */
    a->listener = listener_try(&at, a->place->interface);
    if (a->listener < 0 && errno == EAFNOSUPPORT && !a->place->ip.family) {
        at.family = AF_INET;
        a->listener = listener_try(&at, a->place->interface);
    }
    listener_describe(a, &at, a->listener >= 0);
    if (a->listener >= 0)
        log_event(LOG_NOTICE, "Admin Listening", "address=\"%s\" fingerprint=%s", a->listening,
                  a->fingerprint);
    else if (strcmp(before, a->problem) != 0)
        log_event(LOG_ERR, "Admin Not Listening", "reason=\"%s\"", a->problem);
}
