/* The options of `stile-edge turn`. */
#ifndef EDGE_TURN_TURN_OPTIONS_H
#define EDGE_TURN_TURN_OPTIONS_H

#include <stddef.h>

#include "common/netaddr.h"
#include "edge/turn/turn_config.h"

struct turn_listen {
    struct netaddr at; /* a concrete address */
    bool tls;          /* TLS and DTLS alone */
};

struct turn_options {
    struct turn_listen *listen;
    size_t n_listen;
    char *cert_pem, *key_pem; /* both or none */
    unsigned workers;
    double statistics; /* seconds between prints; 0: none */
};

enum turn_options_result { TURN_OPTIONS_OK, TURN_OPTIONS_HELP, TURN_OPTIONS_USAGE };

/* Fills *o and adds to *c, which must be as from turn_config_init. What is wrong is said on stderr. Passwords
 * in argv are overwritten. *o is the caller's to free whatever the result. */
enum turn_options_result turn_options_parse(int argc, char **argv, struct turn_options *o,
                                            struct turn_config *c);
void turn_options_free(struct turn_options *o);

#endif
