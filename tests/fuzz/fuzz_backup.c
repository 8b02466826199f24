/* What is in a backup once it is decrypted: members that are taken are written, and are the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/backup.h"
#include "common/fatal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct backup_member *all;
    struct buf again;
    size_t count;
    char why[BACKUP_WHY];
    if (backup_members(data, n, &all, &count, why) != ERR_OK)
        return 0;
    buf_init(&again, n);
    for (size_t i = 0; i < count; i++)
        REQUIRE(backup_put(&again, &all[i]) == ERR_OK);
    REQUIRE(buf_len(&again) == n && (n == 0 || memcmp(buf_data(&again), data, n) == 0));
    buf_free(&again);
    free(all);
    return 0;
}
