/* Keys as OpenSSH reads them: its own ssh-keygen is asked. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/ssh_key.h"
#include "tests/unit/unit.h"

START_TEST(test_openssh_reads_it)
{
    char path[64] = "/tmp/stile-key-XXXXXX", why[512], command[128], line[256] = "";
    struct ssh_key k, other;
    ck_assert_int_eq(ssh_key_make(&k), ERR_OK);
    ck_assert_int_eq(ssh_key_make(&other), ERR_OK);
    ck_assert_str_ne(k.public_line, other.public_line);
    ck_assert_uint_eq(strlen(k.public_line), strlen("ssh-ed25519 ") + 68);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(file_write(path, k.private_pem, strlen(k.private_pem), 0600, why, sizeof why), ERR_OK);
    snprintf(command, sizeof command, "ssh-keygen -y -P '' -f %s", path);
    FILE *keygen = popen(command, "r");
    ck_assert_ptr_nonnull(keygen);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, keygen));
    ck_assert_int_eq(pclose(keygen), 0);
    ck_assert_int_eq(strncmp(line, k.public_line, strlen(k.public_line)), 0);
    ck_assert_str_eq(line + strlen(k.public_line), " stile\n");
    unlink(path);
    ssh_key_free(&k);
    ssh_key_free(&other);
}
END_TEST

START_TEST(test_public_half)
{
    struct ssh_key k;
    ck_assert_int_eq(ssh_key_make(&k), ERR_OK);
    char *line = ssh_key_public_of(k.private_pem);
    ck_assert_ptr_nonnull(line);
    ck_assert_str_eq(line, k.public_line);
    free(line);
    for (size_t n = strlen(k.private_pem); n > 0; n--) { /* cut anywhere: never the wrong key */
        k.private_pem[n - 1] = '\0';
        line = ssh_key_public_of(k.private_pem);
        ck_assert(!line || strcmp(line, k.public_line) == 0);
        free(line);
    }
    ck_assert_ptr_null(ssh_key_public_of("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"));
    ck_assert_ptr_null(ssh_key_public_of("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"));
    ssh_key_free(&k);
}
END_TEST

UNIT_MAIN("ssh_key", test_openssh_reads_it, test_public_half)
