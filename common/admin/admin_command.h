/* `stile-core admin` and `stile-edge admin`: users, API tokens and the audit of this box. */
#ifndef COMMON_ADMIN_COMMAND_H
#define COMMON_ADMIN_COMMAND_H

#include <jansson.h>

#include "common/admin/admin_route.h"
#include "common/box.h"

enum { ADMIN_FIRST_PASSWORD = 64, ADMIN_FIRST_FINGERPRINT = 100 };

/* Asks the running box by its socket, or works on its database where it does not run. */
int admin_command(int argc, char **argv, enum admin_box kind);

/* What there is to tell of a box's admin page once it is set up. Wipe it: there is a password in it. */
struct admin_first {
    long port;
    char password[ADMIN_FIRST_PASSWORD]; /* empty: there were users already */
    char fingerprint[ADMIN_FIRST_FINGERPRINT];
};

/* For `init` and `join`: the first user of a box that has none, with a password of our making. pem: the
 * certificate that will be shown, or NULL: the box's own, made here. As root all of it belongs to user. */
enum err admin_first_user(const struct box *box, const char *user, enum admin_box kind, long port,
                          const char *pem, struct admin_first *told, char *why);
/* For people, on standard output. */
void admin_first_print(const struct admin_first *told);
/* {"port", "fingerprint"}, and "user" and "password" where one was made. */
json_t *admin_first_json(const struct admin_first *told);

#endif
