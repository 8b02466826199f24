/* An edge as a person types it:
 * NAME=ADDRESS[:SSHPORT][,public=IP][,internal=IP][,relay=IP[=IP]]...[,KEY=VALUE]... */
#ifndef CORE_PAIRING_EDGE_SPEC_H
#define CORE_PAIRING_EDGE_SPEC_H

#include <jansson.h>

#define EDGE_SPEC_FORM "NAME=ADDRESS[:SSHPORT][,KEY=VALUE]..."

/* A new object as in stile.json's edges, without host_key; NULL when the text (which is taken apart) has
 * another form. Values are judged by the config's own rows later. */
json_t *edge_spec_parse(char *text);
/* The help of such an option, behind its name. */
#define EDGE_SPEC_TEXT                                                                                       \
    "NAME=ADDRESS[:SSHPORT][,public=IP][,internal=IP][,relay=IP[=IP]]...[,KEY=VALUE]...\n"                   \
    "                        an edge, at the address where core reaches its SSH server (port 2222).\n"       \
    "                        public: the address that guests reach (default: ADDRESS when it is an IP);\n"   \
    "                        internal: the edge's own address behind static NAT; relay: an address that\n"   \
    "                        relays are on, or such an address and the public one that a firewall\n"         \
    "                        translates to it (again for more); KEY: any key of an edge in\n"                \
    "                        stile.json(5), such as https_port=8443.\n"

#endif
