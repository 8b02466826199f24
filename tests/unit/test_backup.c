/* Backups: what is sealed comes out again with the same passphrase, and nothing that anybody has touched. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backup.h"
#include "tests/unit/unit.h"

enum { CHUNK = 64 * 1024, HEAD = 28, TAG = 16 };

static struct buf sealed, text;
static char why[BACKUP_WHY];

static uint8_t *pattern(size_t n)
{
    uint8_t *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 31 + (i >> 8));
    return p;
}

static void seal(size_t n)
{
    uint8_t *p = pattern(n);
    buf_init(&sealed, backup_sealed_size(n));
    ck_assert_int_eq(backup_seal(p, n, "right horse battery", &sealed), ERR_OK);
    ck_assert_uint_eq(buf_len(&sealed), backup_sealed_size(n));
    free(p);
}

static enum err unseal(size_t n, const char *passphrase)
{
    buf_init(&text, BACKUP_MAX);
    why[0] = '\0';
    return backup_unseal(buf_data(&sealed), n, passphrase, &text, why);
}

START_TEST(what_is_sealed_comes_out_again)
{
    static const size_t sizes[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *p = pattern(sizes[i]);
        seal(sizes[i]);
        ck_assert_int_eq(unseal(buf_len(&sealed), "right horse battery"), ERR_OK);
        ck_assert_uint_eq(buf_len(&text), sizes[i]);
        ck_assert(sizes[i] == 0 || memcmp(buf_data(&text), p, sizes[i]) == 0);
        free(p);
        buf_free(&sealed);
        buf_wipe(&text);
    }
}
END_TEST

/* Made by another program after docs/protocol.md: what older releases have written is read for ever. */
START_TEST(a_file_of_another_program)
{
    static const char hex[] =
        "5354494c45424b310e00000000112233445566778899aabbccddeeff3cf3e865"
        "3a4a9212d5c278b53ed3fa771f9c5e75b7";
    uint8_t file[sizeof hex / 2];
    for (size_t i = 0; i < sizeof file; i++)
        ck_assert_int_eq(sscanf(hex + 2 * i, "%2hhx", &file[i]), 1);
    buf_init(&text, BACKUP_MAX);
    ck_assert_msg(backup_unseal(file, sizeof file, "right horse battery", &text, why) == ERR_OK, "%s", why);
    ck_assert_uint_eq(buf_len(&text), 5);
    ck_assert_mem_eq(buf_data(&text), "a box", 5);
    buf_wipe(&text);
}
END_TEST

START_TEST(a_wrong_passphrase_is_told)
{
    seal(100);
    ck_assert_int_eq(unseal(buf_len(&sealed), "wrong horse battery"), ERR_UNAUTHORIZED);
    ck_assert_str_eq(why, "the passphrase is wrong, or the file is damaged");
    ck_assert_uint_eq(buf_len(&text), 0);
}
END_TEST

/* A bit of the salt, of the first chunk, of a later one, of the last tag. */
START_TEST(each_bit_counts)
{
    seal(2 * CHUNK + 5);
    const size_t places[] = {HEAD - 1, HEAD, HEAD + CHUNK, HEAD + CHUNK + TAG + 3, buf_len(&sealed) - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        buf_data(&sealed)[places[i]] ^= 1;
        ck_assert_int_eq(unseal(buf_len(&sealed), "right horse battery"), ERR_UNAUTHORIZED);
        ck_assert_uint_eq(buf_len(&text), 0);
        buf_data(&sealed)[places[i]] ^= 1;
    }
}
END_TEST

START_TEST(an_end_that_is_missing_is_told)
{
    seal(2 * CHUNK + 5);
    const size_t whole = buf_len(&sealed),
                 lengths[] = {whole - 1, whole - 5 - TAG, HEAD + CHUNK + TAG, HEAD + CHUNK};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        ck_assert_int_ne(unseal(lengths[i], "right horse battery"), ERR_OK);
    ck_assert_int_eq(unseal(HEAD, "right horse battery"), ERR_MALFORMED);
    ck_assert_int_eq(unseal(0, "right horse battery"), ERR_MALFORMED);
}
END_TEST

/* Before a passphrase is tried at all: neither much memory nor much time for a stranger's file. */
START_TEST(other_files_are_refused_at_once)
{
    static const uint8_t json[64] = "{\"join_url\": \"https://join.example.com\"}";
    seal(10);
    buf_data(&sealed)[8] = 60; /* scrypt's cost */
    ck_assert_int_eq(unseal(buf_len(&sealed), "right horse battery"), ERR_UNSUPPORTED);
    buf_data(&sealed)[8] = 17;
    buf_data(&sealed)[7] = '2';
    ck_assert_int_eq(unseal(buf_len(&sealed), "right horse battery"), ERR_UNSUPPORTED);
    buf_init(&text, BACKUP_MAX);
    ck_assert_int_eq(backup_unseal(json, sizeof json, "right horse battery", &text, why), ERR_MALFORMED);
    ck_assert_ptr_nonnull(strstr(why, "no backup of Stile"));
}
END_TEST

/* Members --------------------------------------------------------------------------------------------------
 */

static enum err put(const char *name, const char *data)
{
    struct backup_member m = {.mode = 0600, .data = (const uint8_t *)data, .n = strlen(data)};
    snprintf(m.name, sizeof m.name, "%s", name);
    return backup_put(&text, &m);
}

START_TEST(members_come_back)
{
    struct backup_member *all;
    size_t n;
    buf_init(&text, BACKUP_MAX);
    ck_assert_int_eq(put("box/stile.json", "{}"), ERR_OK);
    ck_assert_int_eq(put("box/empty", ""), ERR_OK);
    ck_assert_int_eq(put("state/config/00000001.json", "one"), ERR_OK);
    ck_assert_int_eq(backup_members(buf_data(&text), buf_len(&text), &all, &n, why), ERR_OK);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(all[0].name, "box/stile.json");
    ck_assert_uint_eq(all[0].mode, 0600);
    ck_assert_uint_eq(all[1].n, 0);
    ck_assert_mem_eq(all[2].data, "one", 3);
    free(all);
    for (size_t cut = 1; cut < 6; cut++)
        ck_assert_int_eq(backup_members(buf_data(&text), buf_len(&text) - cut, &all, &n, why), ERR_MALFORMED);
    ck_assert_int_eq(put("box/empty", "twice"), ERR_OK);
    ck_assert_int_eq(backup_members(buf_data(&text), buf_len(&text), &all, &n, why), ERR_MALFORMED);
}
END_TEST

START_TEST(no_name_leads_elsewhere)
{
    static const char *const names[] = {"",         "box",  "/etc/passwd", "box/../passwd", "box/.ssh",
                                        "box//x",   "box/", "box/a b",     "../box/x",      "box/a/b/c",
                                        "box/a\nb", ".x/y", "box/-x",      "box/\xc3\xa4"};
    buf_init(&text, BACKUP_MAX);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(put(names[i], "x") == ERR_MALFORMED, "\"%s\"", names[i]);
}
END_TEST

UNIT_MAIN("backup", what_is_sealed_comes_out_again, a_file_of_another_program, a_wrong_passphrase_is_told, each_bit_counts,
          an_end_that_is_missing_is_told, other_files_are_refused_at_once, members_come_back,
          no_name_leads_elsewhere)
