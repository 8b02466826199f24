/* `stile-core admin` and `stile-edge admin`: users, API tokens and the audit of this box. */
#ifndef COMMON_ADMIN_COMMAND_H
#define COMMON_ADMIN_COMMAND_H

#include "common/admin/admin_route.h"
#include "common/box.h"

/* Asks the running box by its socket, or works on its database where it does not run. */
int admin_command(int argc, char **argv, enum admin_box kind);

/* For `init` and `join`: the first user of a box that has none, with a password of our making, told on
 * standard output with the certificate's fingerprint and where to go. pem: the certificate that will be
 * shown, or NULL: the box's own, made here. As root all of it belongs to user. */
enum err admin_first_user(const struct box *box, const char *user, enum admin_box kind, long port,
                          const char *pem, char *why);

#endif
