/*
 * What an address of guests is banned for, one row per category: name in the config, then the defaults:
 * threshold (offences), window (seconds in which they count), duration (seconds of the ban); and in words.
 * A threshold of 0: nobody is banned for it. All of it was seen on connections that TCP completed, so that
 * nobody gets others banned by forging their address.
 *
 * Many guests may share an address (NAT): the defaults are far above what a house full of them does by
 * mistake. Connections above the limit per address are their common fate, so they ban only where it is asked
 * for.
 */
#ifndef COMMON_BAN_CATEGORIES_H
#define COMMON_BAN_CATEGORIES_H

#define BAN_CATEGORIES(X)                                                                                    \
    X(handshakes, 600, 60, 600, "TLS handshakes that failed or did not end in time")                         \
    X(malformed, 600, 60, 600, "malformed requests, and connections that speak nothing that is served")      \
    X(refused, 600, 60, 600, "requests for a host or by a rule that is not in the allow list (421, 403)")    \
    X(limits, 0, 60, 600, "connections and requests above the limits per address")                           \
    X(http2_abuses, 10, 60, 3600, "HTTP/2 connections ended for what they cost")

enum ban_category {
#define X(name, threshold, window, duration, words) BAN_##name,
    BAN_CATEGORIES(X)
#undef X
        BAN_CATEGORY_COUNT,
    BAN_BY_HAND = BAN_CATEGORY_COUNT
};

#endif
