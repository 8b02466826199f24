/*
 * Connections per client address, in memory of a fixed size. An entry lives while its count is above zero, so
 * there are never more entries than connections, and the table is made twice as large as that. IPv6 clients
 * count by their /64, since one customer has at least that.
 */
#ifndef COMMON_ADDRESS_TABLE_H
#define COMMON_ADDRESS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/netaddr.h"

struct address_table;

/* NULL when memory is out. most: connections at once, of all addresses. */
struct address_table *address_table_new(size_t most);
void address_table_free(struct address_table *t);
/* Another number of connections; ERR_MEMORY when there is none for it: nothing has changed. */
enum err address_table_resize(struct address_table *t, size_t most);
/* Counts one more connection; false, and nothing counted, when the address already has per_address or the
 * table is full. */
bool address_table_add(struct address_table *t, const struct netaddr *a, size_t per_address);
/* One connection less; it must have been added. */
void address_table_remove(struct address_table *t, const struct netaddr *a);
size_t address_table_count(const struct address_table *t, const struct netaddr *a);
/* Addresses that have a connection. */
size_t address_table_addresses(const struct address_table *t);

#endif
