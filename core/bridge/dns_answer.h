/* What c-ares 1.18 does not tell of a DNS message: how long its answers may be kept (RFC 1035 §4.1). */
#ifndef CORE_BRIDGE_DNS_ANSWER_H
#define CORE_BRIDGE_DNS_ANSWER_H

#include <stddef.h>
#include <stdint.h>

/* The smallest time to live among the answer section's records, in seconds; `otherwise` when there is none or
 * the message is malformed. */
uint32_t dns_answer_ttl(const uint8_t *message, size_t n, uint32_t otherwise);

#endif
