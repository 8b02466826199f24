/* The shared config: what is right is read, what is wrong is named with file, line, key, value and what would
 * be right. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "proto/policy.h"

#define KEY_A      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define KEY_B      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define CORE       "{\"name\":\"core1\",\"key\":\"" KEY_A "\"}"
#define EDGE(more) "{\"name\":\"edge1\",\"ssh\":\"192.0.2.1\",\"host_key\":\"" KEY_B "\"" more "}"
#define DOC(url, web, edge, turn)                                                                            \
    "{\n\"join_url\": \"" url "\",\n\"web_proxy\": {" web "},\n\"edges\": [" edge "],\n\"cores\": [" CORE    \
    "],\n\"turn\": {" turn "}\n}"

static const char good[] =
    DOC("https://Join.Example.com:8443/", "\"targets\":[\"10.1.2.3:9443\"]",
        EDGE(",\"https_port\":8443,\"relay_ports\":[30000,30010]"), "\"allow_peers\":[\"10.0.0.0/8\"]");

START_TEST(test_good)
{
    struct config c;
    char why[SCHEMA_WHY];
    enum err e = config_parse("stile.json", good, &c, why);
    ck_assert_msg(e == ERR_OK, "%s", why);
    const struct config_edge *edge = config_edge_find(&c, "EDGE1");
    ck_assert_ptr_nonnull(edge);
    ck_assert_str_eq(c.join_host, "join.example.com");
    ck_assert_uint_eq(c.join_port, 8443);
    ck_assert_str_eq(c.turn.realm, "join.example.com");
    ck_assert_int_eq(edge->https_port, 8443);
    ck_assert_int_eq(edge->http_port, 80);
    ck_assert_int_eq(edge->ssh_port, 2222);
    ck_assert_uint_eq(edge->ssh_target_port, 2222);
    ck_assert_int_eq(edge->turn_udp_port, 3478);
    ck_assert_int_eq(edge->turn_tls_port, 5349);
    ck_assert_int_eq(c.drain.edge_seconds, 5);
    ck_assert_int_eq(c.drain.core_seconds, 3);
    ck_assert(c.turn.tcp_443);
    ck_assert_int_eq(edge->relay_ports[1], 30010);
    ck_assert_int_eq(c.web_proxy.tunnels_per_edge, 2);
    ck_assert_uint_eq(c.web_proxy.methods.n, 5);
    ck_assert_ptr_null(config_edge_find(&c, "edge2"));
    ck_assert_str_eq(c.turn.binding, "open");
    ck_assert_str_eq(c.turn.channel_numbers, "rfc8656");
    ck_assert_str_eq(c.turn.gso, "auto");
    ck_assert(c.turn.software);
    ck_assert_int_eq(c.turn.allocation_lifetime.default_s, 600);
    ck_assert_int_eq(c.turn.allocation_lifetime.longest, 3600);
    ck_assert_int_eq(c.turn.channels_per_allocation, 64);
    ck_assert(c.bans.enabled);
    ck_assert_int_eq(c.bans.refused.threshold, 600);
    ck_assert_int_eq(c.bans.http2_abuses.duration, 3600);
    config_free(&c);
}
END_TEST

/* What is quoted of a stranger's document reaches terminals, and other boxes as JSON. */
START_TEST(test_words_are_harmless)
{
    static const char *const texts[] = {
        "{\"\\u001b]0;owned\\u0007\": 1}",
        "{\"\\u009b2J\": 1}",
        "{\"join_url\": \"\xc2\x9b" "2J\"}",
        "{\"join_url\": \033[2J}",
        "{\"join_url\": \"x"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\"}",
        "{\"join_url\": \""
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9"
        "\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config c;
        char why[SCHEMA_WHY];
        ck_assert_int_eq(config_parse("stile.json", texts[i], &c, why), ERR_CONFIG);
        json_t *told = json_string(why);
        ck_assert_msg(told != NULL, "text %zu: not UTF-8: %s", i, why);
        json_decref(told);
        ck_assert_msg(!strpbrk(why, "\033\a") && !strstr(why, "\xc2\x9b"), "text %zu: %s", i, why);
    }
}
END_TEST

/* The config's defaults are those of the table, and what it says reaches a worker as it was said. */
START_TEST(test_web_limits)
{
    struct config c;
    struct web_limits normal, heard;
    char why[SCHEMA_WHY], *text = strdup(good);
    ck_assert_int_eq(config_parse("stile.json", text, &c, why), ERR_OK);
    web_limits_default(&normal);
    ck_assert_mem_eq(&c.web_limits, &normal, sizeof normal);
    config_free(&c);
    free(text);
    ck_assert_int_ge(
        asprintf(&text, "%.*s, \"web_limits\": {\"head_seconds\": 7}}", (int)strlen(good) - 2, good), 0);
    ck_assert_msg(config_parse("stile.json", text, &c, why) == ERR_OK, "%s", why);
    json_t *told = web_limits_json(&c.web_limits);
    ck_assert_int_eq(web_limits_from_json(told, &heard, why, sizeof why), ERR_OK);
    normal.head_seconds = 7;
    ck_assert_mem_eq(&heard, &normal, sizeof normal);
    json_decref(told);
    config_free(&c);
    free(text);
}
END_TEST

START_TEST(test_policy)
{
    struct config c;
    char why[SCHEMA_WHY];
    json_t *list;
    ck_assert_int_eq(config_parse("stile.json", good, &c, why), ERR_OK);
    ck_assert_int_eq(policy_allowlist(&c, &list, why, sizeof why), ERR_OK);
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "scheme")), "https");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "scheme")), "wss");
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 0), "port")), 8443);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "path")), "/");
    json_decref(list);
    config_free(&c);
}
END_TEST

/* A first domain and two further ones, the last with rules for a host beside its own. */
static const char domains[] = DOC(
    "https://join.example.com",
    "\"targets\":[\"10.1.2.3\"],\"extra_rules\":[{\"host\":\"more.example.com\"}],\n"
    "\"domains\":[{\"join_url\":\"https://Meet.example.org:8443\",\"targets\":[\"10.9.9.9\"],"
    "\"bridge_ca\":\"meet.pem\"},\n{\"join_url\":\"https://third.example.net\",\"extra_rules\":"
    "[{\"host\":\"Files.example.net\",\"path\":\"/a\"},{\"host\":\"third.example.net\",\"path\":\"/x\"}]}]",
    EDGE(""), "");

START_TEST(test_domains)
{
    struct config c;
    char why[SCHEMA_WHY], key[64];
    const char *hosts[CONFIG_DOMAINS_MAX];
    ck_assert_msg(config_parse("stile.json", domains, &c, why) == ERR_OK, "%s", why);
    ck_assert_uint_eq(config_domains(&c), 3);
    ck_assert_uint_eq(config_join_hosts(&c, hosts), 3);
    ck_assert_str_eq(hosts[0], "join.example.com");
    ck_assert_str_eq(hosts[1], "meet.example.org");
    ck_assert_str_eq(hosts[2], "third.example.net");
    struct config_domain first = config_domain_at(&c, 0), second = config_domain_at(&c, 1);
    ck_assert_str_eq(first.targets->items[0], "10.1.2.3");
    ck_assert_ptr_null(first.bridge_ca);
    ck_assert_ptr_nonnull(first.extra_rules);
    ck_assert_str_eq(second.targets->items[0], "10.9.9.9");
    ck_assert_str_eq(second.bridge_ca, "meet.pem");
    ck_assert_uint_eq(second.port, 8443);
    ck_assert_ptr_null(second.extra_rules);
    ck_assert_str_eq(c.turn.realm, "join.example.com");
    ck_assert_str_eq(config_domain_key(0, key, sizeof key), "web_proxy");
    ck_assert_str_eq(config_domain_key(2, key, sizeof key), "web_proxy.domains[1]");
    config_free(&c);
}
END_TEST

static const char *text_at(const json_t *array, size_t i)
{
    return json_string_value(json_array_get(array, i));
}

START_TEST(test_policy_of_domains)
{
    struct config c;
    struct policy p;
    char why[SCHEMA_WHY];
    ck_assert_int_eq(config_parse("stile.json", domains, &c, why), ERR_OK);
    ck_assert_msg(policy_make(&c, &p, why, sizeof why) == ERR_OK, "%s", why);
    ck_assert_uint_eq(p.automatic, 6);
    ck_assert_uint_eq(p.list.n, 9);
    static const uint8_t of[] = {0, 0, 1, 1, 2, 2, 0, 2, 2};
    ck_assert_mem_eq(p.domains, of, sizeof of);
    ck_assert_str_eq(p.list.rules[2].host, "meet.example.org");
    ck_assert_uint_eq(p.list.rules[2].port, 8443);
    ck_assert(p.list.rules[3].websocket);
    ck_assert_uint_eq(policy_domain_of(&p, &c, "third.example.net"), 2);
    ck_assert_uint_eq(policy_domain_of(&p, &c, "files.example.net"), 2);
    ck_assert_uint_eq(policy_domain_of(&p, &c, "new.example.net"), 0);
    json_t *hosts = policy_hosts(&p, 2), *urls = policy_join_urls(&c);
    ck_assert_uint_eq(json_array_size(hosts), 2);
    ck_assert_str_eq(text_at(hosts, 0), "third.example.net");
    ck_assert_str_eq(text_at(hosts, 1), "files.example.net");
    ck_assert_uint_eq(json_array_size(urls), 3);
    ck_assert_str_eq(text_at(urls, 1), "https://Meet.example.org:8443");
    ck_assert_int_eq(policy_check_join_urls(urls, why, sizeof why), ERR_OK);
    json_decref(hosts);
    hosts = policy_join_hosts(urls);
    ck_assert_uint_eq(json_array_size(hosts), 3);
    ck_assert_str_eq(text_at(hosts, 1), "meet.example.org");
    json_decref(hosts);
    json_decref(urls);
    policy_free(&p);
    config_free(&c);
}
END_TEST

/* Rules that are none, and hosts that two domains would serve. */
START_TEST(test_bad_rules)
{
    static const struct {
        const char *web, *says;
    } wrong[] = {
        {"\"extra_rules\":[{\"path\":\"/\"}]", "web_proxy.extra_rules: rule 1: host: a host name is wanted"},
        {"\"domains\":[{\"join_url\":\"https://b.example\",\"extra_rules\":[{\"host\":\"b.example\"},{}]}]",
         "web_proxy.domains[0].extra_rules: rule 2: host"},
        {"\"domains\":[{\"join_url\":\"https://b.example\",\"extra_rules\":[{\"host\":\"A.example\"}]}]",
         "web_proxy.domains[0].extra_rules: rule 1: host \"a.example\" belongs to the domain of "
         "https://a.example"},
        {"\"extra_rules\":[{\"host\":\"x.example\"},{\"host\":\"b.example\"}],"
         "\"domains\":[{\"join_url\":\"https://b.example\"}]",
         "web_proxy.extra_rules: rule 2: host \"b.example\" belongs to the domain of https://b.example"},
        {"\"extra_rules\":[{\"host\":\"x.example\"}],"
         "\"domains\":[{\"join_url\":\"https://b.example\",\"extra_rules\":[{\"host\":\"x.example\"}]}]",
         "web_proxy.domains[0].extra_rules: rule 1: host \"x.example\" belongs to the domain of "
         "https://a.example"},
    };
    struct config c;
    struct policy p;
    char why[SCHEMA_WHY], text[1500];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(text, sizeof text, DOC("https://a.example", "%s", EDGE(""), ""), wrong[i].web);
        ck_assert_msg(config_parse("stile.json", text, &c, why) == ERR_OK, "%s", why);
        ck_assert_int_eq(policy_make(&c, &p, why, sizeof why), ERR_CONFIG);
        ck_assert_msg(strstr(why, wrong[i].says), "said: %s\nnot: %s", why, wrong[i].says);
        config_free(&c);
    }
}
END_TEST

/* The member join_urls of a policy: none is an older core's. */
START_TEST(test_join_urls)
{
    static const char *const wrong[] = {"[]",
                                        "{}",
                                        "\"https://a.example\"",
                                        "[\"http://a.example\"]",
                                        "[\"https://a.example\",1]",
                                        "[\"https://a.example/x\"]"};
    char why[SCHEMA_WHY];
    ck_assert_int_eq(policy_check_join_urls(NULL, why, sizeof why), ERR_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *urls = json_loads(wrong[i], JSON_DECODE_ANY, NULL);
        ck_assert_msg(policy_check_join_urls(urls, why, sizeof why) == ERR_CONFIG, "%s", wrong[i]);
        json_decref(urls);
    }
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"{", "stile.json:1: not valid JSON"},
    {"[]", "(top level): [] is not an object"},
    {"{\"join_url\":\"https://a\"}", "edges: missing"},
    {DOC("http://a.example", "", EDGE(""), ""),
     "stile.json:2: join_url: \"http://a.example\" is not a URL of the form https"},
    {DOC("https://a_b.example", "", EDGE(""), ""), "join_url"},
    {DOC("https://user@a.example", "", EDGE(""), ""), "join_url"},
    {DOC("https://a.example/path", "", EDGE(""), ""), "join_url"},
    {DOC("https://a.example:0", "", EDGE(""), ""), "join_url"},
    {DOC("https://a.example", "\"domains\":[{\"targets\":[]}]", EDGE(""), ""),
     "web_proxy.domains[0].join_url: missing"},
    {DOC("https://a.example", "\"domains\":[\n{\"join_url\":\"http://b.example\"}]", EDGE(""), ""),
     "stile.json:4: web_proxy.domains[0].join_url: \"http://b.example\" is not a URL of the form https"},
    {DOC("https://a.example", "\"domains\":[{\"join_url\":\"https://b.example/room\"}]", EDGE(""), ""),
     "web_proxy.domains[0].join_url: \"https://b.example/room\" is not"},
    {DOC("https://a.example", "\"domains\":[\n{\"join_url\":\"https://A.example.:8443\"}]", EDGE(""), ""),
     "stile.json:4: web_proxy.domains[0].join_url: \"https://A.example.:8443\" has the host of "
     "\"https://a.example\""},
    {DOC("https://a.example",
         "\"domains\":[{\"join_url\":\"https://b.example\"},\n{\"join_url\":\"https://b.example/\"}]",
         EDGE(""), ""),
     "stile.json:4: web_proxy.domains[1].join_url: \"https://b.example/\" has the host of "
     "\"https://b.example\""},
    {DOC("https://a.example", "\"domains\":[{\"join_url\":\"https://b.example\",\"methods\":[\"GET\"]}]",
         EDGE(""), ""),
     "web_proxy.domains[0].methods: unknown key; known here: join_url, targets"},
    {DOC("https://a.example", "\"domains\":[{\"join_url\":\"https://b.example\",\"targets\":[\"x y\"]}]",
         EDGE(""), ""),
     "web_proxy.domains[0].targets[0]: \"x y\" is not HOST"},
    {DOC("https://a.example", "\"enabld\":true", EDGE(""), ""),
     "stile.json:3: web_proxy.enabld: unknown key; known here: enabled"},
    {DOC("https://a.example", "\"enabled\":1", EDGE(""), ""), "web_proxy.enabled: 1 is not true or false"},
    {DOC("https://a.example", "\"tunnels_per_edge\":17", EDGE(""), ""),
     "17 is not a whole number from 1 to 16"},
    {DOC("https://a.example", "\"tunnels_per_edge\":\"2\"", EDGE(""), ""), "\"2\" is not a whole number"},
    {DOC("https://a.example", "\"targets\":[\"a b\"]", EDGE(""), ""),
     "web_proxy.targets[0]: \"a b\" is not HOST"},
    {DOC("https://a.example", "\"methods\":[]", EDGE(""), ""),
     "web_proxy.methods: has 0 entries; at least 1 needed"},
    {DOC("https://a.example", "\"methods\":[\"get\"]", EDGE(""), ""),
     "web_proxy.methods[0]: \"get\" is not an HTTP method"},
    {DOC("https://a.example", "", EDGE(",\"https_port\":70000"), ""),
     "stile.json:4: edges[0].https_port: 70000 is not"},
    {DOC("https://a.example", "", EDGE(",\"https_port\":80"), ""),
     "edges[0].https_port: https_port, http_port, ssh_port"},
    {DOC("https://a.example", "", EDGE(",\"public_address\":\"1.2.3\""), ""),
     "edges[0].public_address: \"1.2.3\" is not an IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_ports\":[30000]"), ""),
     "edges[0].relay_ports: [30000] is not an array of two"},
    {DOC("https://a.example", "", EDGE(",\"relay_ports\":[30010,30000]"), ""), "the lower first"},
    {DOC("https://a.example", "", EDGE(",\"relay_ports\":[80,30000]"), ""),
     "80 is not a whole number from 1024"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":\"192.0.2.1\""), ""),
     "edges[0].relay_addresses: \"192.0.2.1\" is not an array of strings"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"192.0.2.1\",\"192.0.2\"]"), ""),
     "stile.json:4: edges[0].relay_addresses[1]: \"192.0.2\" is not IP, or IP=PUBLIC_IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"192.0.2.1=2001:db8::1\"]"), ""),
     "edges[0].relay_addresses[0]: \"192.0.2.1=2001:db8::1\" is not IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"192.0.2.1:3478\"]"), ""), "is not IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"192.0.2.1=\"]"), ""), "is not IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"=192.0.2.1\"]"), ""), "is not IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"0.0.0.0\"]"), ""), "is not IP"},
    {DOC("https://a.example", "", EDGE(",\"relay_addresses\":[\"192.0.2.1\",\"192.0.2.1=192.0.2.2\"]"), ""),
     "edges[0].relay_addresses[1]: \"192.0.2.1=192.0.2.2\" has an address that \"192.0.2.1\" has already"},
    {DOC("https://a.example", "",
         EDGE(",\"relay_addresses\":[\"10.0.0.1=192.0.2.1\",\"10.0.0.2=192.0.2.1\"]"), ""),
     "edges[0].relay_addresses[1]"},
    {DOC("https://a.example", "", EDGE("") "," EDGE(""), ""), "edges[1].name: \"edge1\" names two edges"},
    {DOC("https://a.example", "", "{\"name\":\"e\",\"ssh\":\"a\",\"host_key\":\"ssh-rsa AAAA\"}", ""),
     "host_key: \"ssh-rsa AAAA\" is not an Ed25519"},
    {DOC("https://a.example", "", "{\"name\":\"-e\",\"ssh\":\"a\",\"host_key\":\"" KEY_B "\"}", ""),
     "edges[0].name: \"-e\" is not a name"},
    {DOC("https://a.example", "", "{\"name\":\"e\",\"host_key\":\"" KEY_B "\"}", ""),
     "edges[0].ssh: missing; it is a string: HOST:PORT"},
    {DOC("https://a.example", "", "", ""), "edges: has 0 entries; at least 1 needed"},
    {DOC("https://a.example", "", EDGE(""), "\"allow_peers\":[\"10.0.0.1/8\"]"),
     "stile.json:6: turn.allow_peers[0]: \"10.0.0.1/8\" is not a network"},
    {DOC("https://a.example", "", EDGE(""), "\"allow_peers\":\"10.0.0.0/8\""),
     "turn.allow_peers: \"10.0.0.0/8\" is not an array of strings"},
    {DOC("https://a.example", "", EDGE(""), "\"realm\":\"\""), "turn.realm"},
    {DOC("https://a.example", "", EDGE(""), "\"binding\":\"closed\""),
     "stile.json:6: turn.binding: \"closed\" is not \"open\", \"authenticated\" or \"off\""},
    {DOC("https://a.example", "", EDGE(""), "\"channel_numbers\":\"rfc5389\""),
     "turn.channel_numbers: \"rfc5389\" is not \"rfc8656\""},
    {DOC("https://a.example", "", EDGE(""), "\"tls_port\":443"),
     "turn_tls_port (443) must differ from https_port, http_port and ssh_port"},
    {DOC("https://a.example", "", EDGE(""), "\"tcp_443\":1"), "turn.tcp_443"},
    {DOC("https://a.example", "", EDGE(""), "\"gso\":\"on\""), "turn.gso: \"on\" is not \"auto\""},
    {DOC("https://a.example", "", EDGE(""), "\"password_algorithms\":[\"sha1\"]"),
     "turn.password_algorithms[0]: \"sha1\" is not \"sha256\" or \"md5\""},
    {DOC("https://a.example", "", EDGE(""), "\"permissions_per_allocation\":0"), "from 1 to 4096"},
    {DOC("https://a.example", "", EDGE(""), "\"allocation_lifetime\":{\"default\":59}"), "from 60 to 86400"},
    {DOC("https://a.example", "", EDGE(""), "\"allocation_lifetime\":{\"default\":900,\"longest\":600}"),
     "stile.json:6: turn.allocation_lifetime: longest (600) must not be less than default (900)"},
    {DOC("https://a.example", "", EDGE(""), "\"realm\":\"a\\u0000b\""), "not valid JSON"},
    {DOC("https://a.example", "", EDGE(""), "},\n\"drain\":{\"edge_seconds\":3601"),
     "stile.json:7: drain.edge_seconds: 3601 is not a whole number from 0 to 3600"},
    {DOC("https://a.example", "", EDGE(""), "},\n\"drain\":{\"seconds\":5"), "drain.seconds: unknown key"},
};

START_TEST(test_bad)
{
    struct config c;
    char why[SCHEMA_WHY] = "";
    ck_assert_int_eq(config_parse("stile.json", bad[_i].text, &c, why), ERR_CONFIG);
    ck_assert_msg(strstr(why, bad[_i].says), "said: %s\nnot: %s", why, bad[_i].says);
}
END_TEST

static void take_over(struct config *running, struct config *merged)
{
    config_free(running);
    *running = *merged;
}

/* What a running edge takes over, and what it names as waiting for the next start. */
START_TEST(test_merge)
{
    static const char fresh_text[] = DOC(
        "https://Join.Example.com:8443/", "\"targets\":[\"10.1.2.4:9443\"],\"methods\":[\"GET\"],\"hsts\":60",
        EDGE(",\"https_port\":8444,\"relay_ports\":[30000,30010]"),
        "\"deny_peers\":[\"10.9.0.0/16\"],\"binding\":\"off\",\"udp_port\":3479,\"tcp_port\":3478,"
        "\"allocation_lifetime\":{\"longest\":7200}");
    struct config running, fresh, merged;
    char why[SCHEMA_WHY], waiting[300];
    ck_assert_int_eq(config_parse("stile.json", good, &running, why), ERR_OK);
    ck_assert_msg(config_parse("stile.json", fresh_text, &fresh, why) == ERR_OK, "%s", why);
    ck_assert_msg(config_merge(&running, &fresh, "edge1", false, &merged, waiting, sizeof waiting, why) == ERR_OK,
                  "%s", why);
    ck_assert_str_eq(waiting, "web_proxy.methods, edges[0].https_port, turn.udp_port");
    take_over(&running, &merged);
    ck_assert_uint_eq(running.turn.allow_peers.n, 0); /* the key has gone: its default */
    ck_assert_str_eq(running.turn.deny_peers.items[0], "10.9.0.0/16");
    ck_assert_str_eq(running.turn.binding, "off");
    ck_assert_int_eq(running.turn.udp_port, 3478);
    ck_assert_int_eq(running.turn.allocation_lifetime.longest, 7200);
    ck_assert_int_eq(running.web_proxy.hsts, 60);
    ck_assert_int_eq(config_edge_at(&running, 0)->https_port, 8443);
    /* Once more: nothing new to take over, the same still waits. */
    ck_assert_int_eq(config_merge(&running, &fresh, "edge1", false, &merged, waiting, sizeof waiting, why), ERR_OK);
    ck_assert_str_eq(waiting, "web_proxy.methods, edges[0].https_port, turn.udp_port");
    ck_assert(json_equal(merged.json, running.json));
    config_free(&merged);
    /* From core, what the policy brings is no change that waits; and of another edge little concerns this one. */
    ck_assert_int_eq(config_merge(&running, &fresh, "edge1", true, &merged, waiting, sizeof waiting, why), ERR_OK);
    ck_assert_str_eq(waiting, "edges[0].https_port, turn.udp_port");
    ck_assert_uint_eq(merged.web_proxy.methods.n, 1);
    ck_assert_str_eq(merged.text, fresh_text);
    config_free(&merged);
    ck_assert_int_eq(config_merge(&running, &fresh, "edge2", true, &merged, waiting, sizeof waiting, why), ERR_OK);
    ck_assert_str_eq(waiting, "turn.udp_port");
    config_free(&merged);
    ck_assert_int_eq(config_merge(&running, &running, "edge1", false, &merged, waiting, sizeof waiting, why), ERR_OK);
    ck_assert_str_eq(waiting, "");
    config_free(&merged);
    config_free(&fresh);
    config_free(&running);
}
END_TEST

#define OTHER(name, more) ",{\"name\":\"" name "\",\"ssh\":\"192.0.2.2\",\"host_key\":\"" KEY_B "\"" more "}"

/* Other edges come, change and go while one runs, wherever they stand in the list; of its own row only what
 * need not wait. A core's own matters are nothing to it. */
START_TEST(test_merge_edges)
{
    static const char *const steps[][2] = {
        {DOC("https://a.example", "", EDGE("") OTHER("edge2", ",\"public_address\":\"198.51.100.2\""), ""),
         ""},
        {DOC("https://a.example", "",
             "{\"name\":\"edge0\",\"ssh\":\"192.0.2.9\",\"host_key\":\"" KEY_B "\"}," EDGE(
                 ",\"http_port\":8080,\"syslog\":\"192.0.2.5\"") OTHER("edge2", ",\"turn_udp_port\":3499"),
             ""),
         "edges[1].http_port"},
        {DOC("https://a.example", "", EDGE(",\"http_port\":8080"), ""), "edges[0].http_port"},
        {DOC("https://a.example", "", EDGE(""), ""), ""},
    };
    struct config running, fresh, merged;
    char why[SCHEMA_WHY], waiting[300];
    ck_assert_int_eq(config_parse("stile.json", steps[3][0], &running, why), ERR_OK);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        ck_assert_msg(config_parse("stile.json", steps[i][0], &fresh, why) == ERR_OK, "%s", why);
        ck_assert_msg(config_merge(&running, &fresh, "Edge1", true, &merged, waiting, sizeof waiting, why) == ERR_OK,
                      "%s", why);
        ck_assert_str_eq(waiting, steps[i][1]);
        take_over(&running, &merged);
        ck_assert_uint_eq(running.edges.n, fresh.edges.n);
        for (size_t k = 0; k < running.edges.n; k++) {
            const struct config_edge *now = config_edge_at(&running, k), *then = config_edge_at(&fresh, k);
            ck_assert_str_eq(now->name, then->name);
            ck_assert_str_eq(now->syslog, then->syslog);
            ck_assert_int_eq(now->turn_udp_port, then->turn_udp_port);
            ck_assert_int_eq(now->http_port, strcmp(now->name, "edge1") == 0 ? 80 : then->http_port);
        }
        config_free(&fresh);
    }
    json_object_set_new(json_array_get(json_object_get(running.json, "cores"), 0), "admin_port", json_integer(8445));
    char *text = json_dumps(running.json, 0);
    ck_assert_int_eq(config_parse("stile.json", text, &fresh, why), ERR_OK);
    json_object_del(json_array_get(json_object_get(running.json, "cores"), 0), "admin_port");
    ck_assert_int_eq(config_merge(&running, &fresh, "edge1", true, &merged, waiting, sizeof waiting, why), ERR_OK);
    ck_assert_str_eq(waiting, "");
    free(text);
    config_free(&merged);
    config_free(&fresh);
    config_free(&running);
}
END_TEST

START_TEST(test_lines)
{
    static const char text[] = "{\n \"a\": [1,\n  {\"b\": \"}]\\\"\",\n   \"c\": 2}],\n \"d\": {}\n}";
    ck_assert_uint_eq(schema_line(text, ""), 1);
    ck_assert_uint_eq(schema_line(text, "/a"), 2);
    ck_assert_uint_eq(schema_line(text, "/a/1"), 3);
    ck_assert_uint_eq(schema_line(text, "/a/1/b"), 3);
    ck_assert_uint_eq(schema_line(text, "/a/1/c"), 4);
    ck_assert_uint_eq(schema_line(text, "/a/1/none"), 3);
    ck_assert_uint_eq(schema_line(text, "/d"), 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_test(tc, test_good);
    tcase_add_test(tc, test_words_are_harmless);
    tcase_add_test(tc, test_web_limits);
    tcase_add_test(tc, test_policy);
    tcase_add_test(tc, test_domains);
    tcase_add_test(tc, test_policy_of_domains);
    tcase_add_test(tc, test_bad_rules);
    tcase_add_test(tc, test_join_urls);
    tcase_add_loop_test(tc, test_bad, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tc, test_merge);
    tcase_add_test(tc, test_merge_edges);
    tcase_add_test(tc, test_lines);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
