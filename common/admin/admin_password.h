/* Passwords of admin users: what they have to be, and scrypt (RFC 7914), which takes some 80 ms and 32 MiB.
 */
#ifndef COMMON_ADMIN_PASSWORD_H
#define COMMON_ADMIN_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

enum { ADMIN_PASSWORD_LEAST = 10, ADMIN_PASSWORD_MOST = 500, ADMIN_RECORD_MAX = 160, ADMIN_MADE_MAX = 32 };

/* NULL when it may be one, else what would be right. */
const char *admin_password_check(const char *password);
/* "scrypt$LOG2N$R$P$SALT$HASH", both in hex. ERR_MEMORY. */
enum err admin_password_hash(const char *password, char record[ADMIN_RECORD_MAX]);
/* True when it is the one that record was made of. An empty record takes as long, and is none's. */
bool admin_password_matches(const char *password, const char *record);
/* One that nobody guesses, in letters and digits that nobody confuses. */
void admin_password_make(char out[ADMIN_MADE_MAX]);

#endif
