/* What core keeps of its edges' keys: bundles, offers, what is settled, what tunnels are told; and the text
 * of stile.json when edges come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "core/pairing/edges.h"
#include "core/tunnel/host_key.h"
#include "tests/unit/unit.h"

static char why[SCHEMA_WHY];
static struct box box;
static struct pairing p;
static struct ssh_key core_key, keys[4];

static void write_text(const char *name, const char *text, mode_t mode)
{
    ck_assert_msg(box_write(&box, name, text, strlen(text), mode, "stile", why) == ERR_OK, "%s", why);
}

static void begin(void)
{
    char dir[] = "/tmp/stile-pairing-XXXXXX", text[2048];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(box_open(&box, dir, NULL, why), ERR_OK);
    ck_assert_int_eq(ssh_key_make(&core_key), ERR_OK);
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(ssh_key_make(&keys[i]), ERR_OK);
    snprintf(text, sizeof text,
             "{\"revision\": 7,\n  \"join_url\": \"https://join.example.com\",\n  \"cores\": [{\"name\": "
             "\"core1\", "
             "\"key\": \"%s\"}],\n  \"edges\": [\n    {\"name\": \"edge1\", \"ssh\": \"192.0.2.1\", "
             "\"host_key\": \"%s\"}\n  "
             "]\n}\n",
             core_key.public_line, keys[0].public_line);
    write_text("stile.json", text, 0644);
    write_text("identity", "core1", 0644);
    write_text("core_ed25519", core_key.private_pem, 0600);
    write_text("secrets.json",
               "{\"turn_nonce_key\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}",
               0600);
    ck_assert_msg(box_load(&box, why) == ERR_OK, "%s", why);
    ck_assert_msg(pairing_load(&box, &p, why) == ERR_OK, "%s", why);
}

static void end(void)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -r %s", box.dir);
    ck_assert_int_eq(system(command), 0);
    pairing_free(&p);
    box_close(&box);
    ssh_key_free(&core_key);
    for (size_t i = 0; i < 4; i++)
        ssh_key_free(&keys[i]);
}

static const struct config_edge *edge(void)
{
    return config_edge_at(&box.config, 0);
}

/* What a tunnel to edge1 makes of a key at that time: NULL when it is right, else the words. */
static const char *judged(const struct ssh_key *key, int64_t now)
{
    static char words[HOST_KEY_WORDS];
    struct host_keys rules = {0};
    struct host_key shown;
    json_t *list = pairing_host_keys(&p, &box.config, edge());
    ck_assert_int_eq(host_keys_parse(list, &rules), ERR_OK);
    ck_assert_int_eq(host_key_parse(key->public_line, &shown), ERR_OK);
    bool right = host_keys_judge(&rules, shown.blob, shown.len, now, words);
    json_decref(list);
    host_keys_free(&rules);
    return right ? NULL : words;
}

static void is_right(const struct ssh_key *key, int64_t now)
{
    const char *words = judged(key, now);
    ck_assert_msg(!words, "%s", words);
}

static void is_wrong(const struct ssh_key *key, int64_t now, const char *wanted)
{
    const char *words = judged(key, now);
    ck_assert_msg(words && strstr(words, wanted), "%s", words ? words : "accepted");
}

static void bundle_of(const struct ssh_key *key, time_t expires)
{
    struct pairing_bundle b = {"0123", key->public_line, 1000, expires, false};
    ck_assert(pairing_add_bundle(&p, edge(), &b));
}

START_TEST(test_first_pairing)
{
    begin();
    bundle_of(&keys[0], 2000);
    ck_assert_int_eq(pairing_state(&p, "edge1", 1500), PAIRING_WAITING);
    ck_assert_int_eq(pairing_state(&p, "edge1", 2000), PAIRING_EXPIRED);
    is_right(&keys[0], 1500);
    is_wrong(&keys[0], 2000, "the bundle of edge1 expired at 1970-01-01T00:33:20Z, before its first tunnel");
    is_wrong(&keys[1], 1500, "host key changed: expected SHA256:");
    ck_assert_int_eq(pairing_offer(&p, edge(), keys[0].public_line, keys[1].public_line), PAIRING_OFFER_NEW);
    ck_assert_int_eq(pairing_offer(&p, edge(), keys[0].public_line, keys[1].public_line),
                     PAIRING_OFFER_KNOWN);
    ck_assert_int_eq(pairing_offer(&p, edge(), keys[0].public_line, keys[2].public_line),
                     PAIRING_OFFER_OTHER);
    is_right(&keys[0], 1500);
    is_right(&keys[1], 1500);
    ck_assert(pairing_settle(&p, edge(), keys[1].public_line, 1600));
    ck_assert_int_eq(pairing_state(&p, "EDGE1", 9999), PAIRING_PAIRED);
    ck_assert_str_eq(pairing_host_key(&p, edge()), keys[1].public_line);
    is_right(&keys[1], 9999);
    is_wrong(&keys[0], 1700, "joined with a bundle of edge1 that counts no longer");
    end();
}
END_TEST

START_TEST(test_kept_in_its_file)
{
    begin();
    bundle_of(&keys[0], 2000);
    pairing_offer(&p, edge(), keys[0].public_line, keys[1].public_line);
    ck_assert_msg(pairing_save(&box, &p, "stile", why) == ERR_OK, "%s", why);
    pairing_free(&p);
    ck_assert_msg(pairing_load(&box, &p, why) == ERR_OK, "%s", why);
    ck_assert(pairing_settle(&p, edge(), keys[1].public_line, 1600));
    is_wrong(&keys[0], 1700, "counts no longer");
    pairing_free(&p);
    write_text("keys.json", "{\"edges\":[{\"name\":5}]}", 0600);
    ck_assert_int_eq(pairing_load(&box, &p, why), ERR_CONFIG);
    ck_assert_msg(strstr(why, "keys.json:1: edges[0].name"), "%s", why);
    write_text("keys.json", "{\"edges\":[", 0600);
    ck_assert_int_eq(pairing_load(&box, &p, why), ERR_CONFIG);
    unlink("keys.json");
    p.json = NULL;
    end();
}
END_TEST

/* A box is set up anew: the old one goes on until the new one is seen, and not longer. */
START_TEST(test_renewed)
{
    begin();
    bundle_of(&keys[0], 2000);
    pairing_offer(&p, edge(), keys[0].public_line, keys[1].public_line);
    ck_assert(pairing_settle(&p, edge(), keys[1].public_line, 1600));
    bundle_of(&keys[2], 3000);
    is_right(&keys[1], 2500);
    is_right(&keys[2], 2500);
    /* the old box is given another key meanwhile: the bundle waits on */
    pairing_offer(&p, edge(), keys[1].public_line, keys[0].public_line);
    ck_assert(pairing_settle(&p, edge(), keys[0].public_line, 2600));
    ck_assert_int_eq(pairing_state(&p, "edge1", 2700), PAIRING_WAITING);
    pairing_offer(&p, edge(), keys[2].public_line, keys[3].public_line);
    ck_assert(pairing_settle(&p, edge(), keys[3].public_line, 2700));
    is_right(&keys[3], 9999);
    is_wrong(&keys[2], 2800, "counts no longer");
    is_wrong(&keys[0], 2800, "counts no longer");
    is_wrong(&keys[1], 2800, "a host key that edge1 had earlier");
    end();
}
END_TEST

/* Somebody has put a key into stile.json: that one counts alone. */
START_TEST(test_other_key_by_hand)
{
    char *text, *changed, path[PATH_MAX];
    begin();
    bundle_of(&keys[0], 2000);
    pairing_offer(&p, edge(), keys[0].public_line, keys[1].public_line);
    ck_assert(pairing_settle(&p, edge(), keys[1].public_line, 1600));
    ck_assert_int_eq(file_read(box_file(&box, "stile.json", path), 65536, &text, NULL, why, sizeof why),
                     ERR_OK);
    changed = strstr(text, keys[0].public_line);
    memcpy(changed, keys[3].public_line, strlen(keys[3].public_line));
    write_text("stile.json", text, 0644);
    free(text);
    ck_assert_int_eq(box_load(&box, why), ERR_OK);
    is_right(&keys[3], 1700);
    ck_assert_ptr_nonnull(judged(&keys[1], 1700));
    ck_assert_str_eq(pairing_host_key(&p, edge()), keys[3].public_line);
    /* And from there it goes on as with any other: a bundle, or a rotation. */
    ck_assert_int_eq(pairing_offer(&p, edge(), keys[3].public_line, keys[2].public_line), PAIRING_OFFER_NEW);
    is_right(&keys[3], 1700);
    is_right(&keys[2], 1700);
    ck_assert(pairing_settle(&p, edge(), keys[2].public_line, 1800));
    is_right(&keys[2], 1900);
    ck_assert_ptr_nonnull(judged(&keys[3], 1900));
    ck_assert_str_eq(pairing_host_key(&p, edge()), keys[2].public_line);
    end();
}
END_TEST

static struct edges_bundle bundle = {.seconds = 86400};

static enum err add(const char *spec, struct edges_change *change)
{
    json_t *one = json_loads(spec, 0, NULL);
    enum err e = edges_add(&box, &p, one, &bundle, "stile", change, why);
    json_decref(one);
    return e;
}

START_TEST(test_added_and_removed)
{
    struct edges_change change = {0}, back = {0};
    char *text, *before, path[PATH_MAX];
    begin();
    ck_assert_int_eq(file_read(box_file(&box, "stile.json", path), 65536, &before, NULL, why, sizeof why),
                     ERR_OK);
    ck_assert_msg(add("{\"name\":\"edge2\",\"ssh\":\"192.0.2.2\"}", &change) == ERR_OK, "%s", why);
    ck_assert_int_eq(change.revision, 8);
    ck_assert_int_eq(box_load(&box, why), ERR_OK);
    ck_assert_uint_eq(box.config.edges.n, 2);
    ck_assert_int_eq(box.config.revision, 8);
    ck_assert_int_eq(file_read(box_file(&box, "stile.json", path), 65536, &text, NULL, why, sizeof why),
                     ERR_OK);
    ck_assert_ptr_nonnull(strstr(text, "{\"revision\": 8,\n  \"join_url\""));
    ck_assert_ptr_nonnull(
        strstr(text, "},\n    {\"name\": \"edge2\", \"ssh\": \"192.0.2.2\", \"host_key\": \"ssh-ed25519"));
    free(text);
    /* Its bundle says the same. */
    struct bundle b;
    ck_assert_int_eq(file_read(bundle.path, 1 << 20, &text, NULL, why, sizeof why), ERR_OK);
    ck_assert_msg(bundle_decode("b", text, NULL, time(NULL), &b, why) == ERR_OK, "%s", why);
    char *line = ssh_key_public_of(b.host_key);
    ck_assert_str_eq(line, config_edge_at(&box.config, 1)->host_key);
    ck_assert_ptr_nonnull(strstr(b.config, core_key.public_line));
    free(line);
    bundle_free(&b);
    file_wipe(text);
    ck_assert_int_eq(pairing_state(&p, "edge2", time(NULL)), PAIRING_WAITING);
    ck_assert_msg(edges_remove(&box, &p, "edge2", "stile", &back, why) == ERR_OK, "%s", why);
    ck_assert_int_ne(access(bundle.path, F_OK), 0);
    ck_assert_ptr_null(pairing_edge(&p, "edge2"));
    ck_assert_int_eq(box_load(&box, why), ERR_OK);
    ck_assert_uint_eq(box.config.edges.n, 1);
    ck_assert_int_eq(box.config.revision, 9);
    edges_change_free(&change);
    edges_change_free(&back);
    free(before);
    end();
}
END_TEST

START_TEST(test_refused)
{
    static const struct {
        const char *spec, *words;
    } rows[] = {
        {"{\"name\":\"EDGE1\",\"ssh\":\"192.0.2.2\"}", "a box named \"EDGE1\" already"},
        {"{\"name\":\"core1\",\"ssh\":\"192.0.2.2\"}", "a box named \"core1\" already"},
        {"{\"name\":\"edge two\",\"ssh\":\"192.0.2.2\"}", "is not a name of letters"},
        {"{\"name\":\"edge2\"}", "edges[1].ssh: missing"},
        {"{\"name\":\"edge2\",\"ssh\":\"no_host\"}", "edges[1].ssh: \"no_host\" is not HOST or HOST:PORT"},
        {"{\"name\":\"edge2\",\"ssh\":\"192.0.2.2\",\"tea\":1}", "edges[1].tea: unknown key"},
    };
    char path[PATH_MAX], *before, *after;
    begin();
    ck_assert_int_eq(file_read(box_file(&box, "stile.json", path), 65536, &before, NULL, why, sizeof why),
                     ERR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct edges_change change = {0};
        char unused[SCHEMA_WHY];
        ck_assert_int_ne(add(rows[i].spec, &change), ERR_OK);
        ck_assert_msg(strstr(why, rows[i].words), "row %zu: %s", i, why);
        ck_assert_int_eq(edges_undo(&box, &p, &change, "stile", unused), ERR_OK);
        edges_change_free(&change);
    }
    struct edges_change change = {0};
    ck_assert_int_ne(edges_remove(&box, &p, "edge1", "stile", &change, why), ERR_OK);
    ck_assert_msg(strstr(why, "the only edge"), "%s", why);
    ck_assert_int_ne(edges_remove(&box, &p, "edge9", "stile", &change, why), ERR_OK);
    ck_assert_msg(strstr(why, "no edge named \"edge9\""), "%s", why);
    ck_assert_int_eq(file_read(path, 65536, &after, NULL, why, sizeof why), ERR_OK);
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    edges_change_free(&change);
    end();
}
END_TEST

/* stile.json cannot be taken over: everything is as it was. */
START_TEST(test_undone)
{
    struct edges_change change = {0};
    char path[PATH_MAX], *before, *after;
    begin();
    ck_assert_int_eq(file_read(box_file(&box, "stile.json", path), 65536, &before, NULL, why, sizeof why),
                     ERR_OK);
    ck_assert_int_eq(add("{\"name\":\"edge2\",\"ssh\":\"192.0.2.2\"}", &change), ERR_OK);
    ck_assert_int_eq(edges_undo(&box, &p, &change, "stile", why), ERR_OK);
    ck_assert_int_eq(file_read(path, 65536, &after, NULL, why, sizeof why), ERR_OK);
    ck_assert_str_eq(before, after);
    ck_assert_ptr_null(pairing_edge(&p, "edge2"));
    ck_assert_int_ne(access(bundle.path, F_OK), 0);
    edges_change_free(&change);
    free(before);
    free(after);
    end();
}
END_TEST

START_TEST(test_times)
{
    long seconds = -1;
    ck_assert_int_eq(edges_parse_time("90m", &seconds), ERR_OK);
    ck_assert_int_eq(seconds, 5400);
    ck_assert_int_eq(edges_parse_time("24h", &seconds), ERR_OK);
    ck_assert_int_eq(seconds, 86400);
    ck_assert_int_eq(edges_parse_time("7d", &seconds), ERR_OK);
    ck_assert_int_eq(edges_parse_time("60", &seconds), ERR_OK);
    ck_assert_int_eq(seconds, 60);
    static const char *const wrong[] = {"", "d", "-1d", "1w", "1 d", "99999999999999999999d", "400d"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(edges_parse_time(wrong[i], &seconds) != ERR_OK, "%s", wrong[i]);
    struct edges_bundle b = {.seconds = 59};
    ck_assert_int_ne(edges_judge_bundle(&b, why), ERR_OK);
    b = (struct edges_bundle){.seconds = 60, .passphrase = "short"};
    ck_assert_int_ne(edges_judge_bundle(&b, why), ERR_OK);
}
END_TEST

UNIT_MAIN("pairing", test_first_pairing, test_kept_in_its_file, test_renewed, test_other_key_by_hand,
          test_added_and_removed, test_refused, test_undone, test_times)
