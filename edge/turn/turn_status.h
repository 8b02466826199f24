/* What a worker is doing, as JSON for `status` and metrics; see turn_worker_status for its form. */
#ifndef EDGE_TURN_TURN_STATUS_H
#define EDGE_TURN_TURN_STATUS_H

#include <jansson.h>

#include "edge/turn/turn_admission.h"
#include "edge/turn/turn_server.h"

json_t *turn_status_json(const struct turn_server *s, const struct turn_admission *admission,
                         size_t relays_most);
json_t *turn_status_relay(const struct turn_server *s, const struct netaddr *relayed);

#endif
