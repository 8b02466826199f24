#include "edge/turn/turn_options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/verb.h"

/* clang-format off */
/*    option           argument           what it does */
#define OPTION_TABLE(X) \
    X(listen,          "IP:PORT",         "serve UDP and TCP there (again for more); 0.0.0.0 and [::] stand for\n" \
                                          "every address of this box of that family") \
    X(tls_listen,      "IP:PORT",         "serve TLS and DTLS alone there (again for more); port 5349 where\n" \
                                          "none is given; --listen takes them, too, with a certificate") \
    X(cert,            "FILE",            "certificate with its chain, PEM") \
    X(key,             "FILE",            "its key, PEM") \
    X(relay_address,   "IP[,public=IP]",  "relay from this address (again for more); public: what clients\n" \
                                          "are told, under static NAT") \
    X(relay_ports,     "MIN-MAX",         "ports of relayed addresses (24000-29999)") \
    X(realm,           "REALM",           "realm of the credentials") \
    X(user,            "NAME:PASSWORD",   "who may allocate (again for more); NAME:@FILE reads the password\n" \
                                          "from a file's first line") \
    X(shared_secret,   "SECRET",          "whoever knows it makes credentials that end (again for more, up to 8);\n" \
                                          "@FILE reads one from each line") \
    X(password_algorithms, "LIST",        "sha256, md5 or both with a comma, the preferred one first (sha256,md5)") \
    X(allow_peer,      "CIDR",            "private network that peers may be in (again for more)") \
    X(deny_peer,       "CIDR",            "network that no peer may be in (again for more)") \
    X(channel_numbers, "rfc8656|rfc5766", "channel numbers up to 0x4FFF or, for older clients, 0x7FFE") \
    X(alternate_server, "IP[:PORT]",      "where clients go that this server has no room for (again for more);\n" \
                                          "without a port, the one that they used here") \
    X(user_quota,      "N",               "allocations per user (0: no limit)") \
    X(address_quota,   "N",               "allocations per client address (0: no limit)") \
    X(total_quota,     "N",               "allocations in all (0: no limit)") \
    X(allocation_kbps, "N",               "media of one allocation in each direction, kilobits a second (0: no\n" \
                                          "limit)") \
    X(user_kbps,       "N",               "media of one user in each direction, kilobits a second (0: no limit)") \
    X(challenge_limit, "N",               "challenges to one client address a second (64); more stay unanswered") \
    X(binding,         "open|authenticated|off", "who may ask for their own address (open)") \
    X(gso,             "auto|off",        "let the kernel join and split runs of packets (auto)") \
    X(software,        "TEXT",            "name given in authenticated answers (none)") \
    X(workers,         "N",               "processes (one per processor)") \
    X(stats_interval,  "SECONDS",         "print usage as JSON to stderr so often; SIGUSR1 prints it once") \
    X(log_level,       "LEVEL",           "error, warning, notice, info (default) or debug")
/* clang-format on */

enum option_id {
#define X(name, argument, words) OPTION_##name,
    OPTION_TABLE(X)
#undef X
        OPTION_COUNT
};

static const char *const option_arguments[] = {
#define X(name, argument, words) argument,
    OPTION_TABLE(X)
#undef X
};

static const char *const option_words[] = {
#define X(name, argument, words) words,
    OPTION_TABLE(X)
#undef X
};

/* "--relay-address" for relay_address. */
static const char *option_name(enum option_id id, char out[40])
{
    static const char *const names[] = {
#define X(name, argument, words) #name,
        OPTION_TABLE(X)
#undef X
    };
    size_t i = 0;
    for (; names[id][i] && i < 39; i++)
        out[i] = names[id][i] == '_' ? '-' : names[id][i];
    out[i] = '\0';
    return out;
}

static void print_help(void)
{
    char name[40], left[80];
    printf("usage: stile-edge turn --listen IP:PORT --relay-address IP --realm REALM --user NAME:PASSWORD "
           "[option]...\n"
           "Runs a TURN server (RFC 8656) alone, in the foreground, until SIGTERM or SIGINT.\n\n");
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        const char *words = option_words[id];
        snprintf(left, sizeof left, "--%s %s", option_name(id, name), option_arguments[id]);
        for (bool first = true; *words; first = false) {
            int n = (int)strcspn(words, "\n");
            printf("  %-38s %.*s\n", first ? left : "", n, words);
            words += n + (words[n] != '\0');
        }
    }
}

/* False, with a word on stderr, when it is wrong. */
static bool wrong(enum option_id id, const char *value, const char *why)
{
    char name[40];
    fprintf(stderr, "stile-edge turn: --%s \"%s\": %s\n", option_name(id, name), value, why);
    return false;
}

static bool read_number(enum option_id id, const char *value, unsigned long most, unsigned long *out)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || v > most)
        return wrong(id, value, "no whole number, or too large");
    *out = v;
    return true;
}

static bool listen_add(struct turn_options *o, const struct netaddr *a, bool tls)
{
    struct turn_listen *grown = reallocarray(o->listen, o->n_listen + 1, sizeof *grown);
    if (!grown)
        return false;
    o->listen = grown;
    grown[o->n_listen++] = (struct turn_listen){*a, tls};
    return true;
}

/* The any-address becomes every address of its family, so that answers leave from where requests arrived. */
static bool listen_add_all(struct turn_options *o, const struct netaddr *any, bool tls)
{
    static const uint8_t link_local[2] = {0xfe, 0x80};
    struct ifaddrs *all;
    bool good = true;
    if (getifaddrs(&all) != 0)
        return false;
    for (struct ifaddrs *i = all; i && good; i = i->ifa_next) {
        struct netaddr a;
        if (!i->ifa_addr || i->ifa_addr->sa_family != any->family ||
            netaddr_from_sockaddr(i->ifa_addr, sizeof(struct sockaddr_in6), &a) != ERR_OK ||
            (a.family == AF_INET6 && memcmp(a.ip, link_local, 2) == 0))
            continue;
        a.port = any->port;
        good = listen_add(o, &a, tls);
    }
    freeifaddrs(all);
    return good;
}

static bool read_listen(enum option_id id, struct turn_options *o, const char *value)
{
    struct netaddr a;
    bool tls = id == OPTION_tls_listen;
    if (netaddr_parse(value, tls ? 5349 : 3478, &a) != ERR_OK)
        return wrong(id, value, "no IP:PORT");
    if (netaddr_is_any(&a) ? !listen_add_all(o, &a, tls) : !listen_add(o, &a, tls))
        return wrong(id, value, strerror(errno));
    return true;
}

static bool read_pem(enum option_id id, const char *value, char **out)
{
    enum { PEM_MAX = 1024 * 1024 };
    char why[300];
    file_wipe(*out);
    *out = NULL;
    enum err e = id == OPTION_key ? file_read_secret_any(value, PEM_MAX, out, NULL, why, sizeof why)
                                  : file_read_any(value, PEM_MAX, out, NULL, why, sizeof why);
    return e == ERR_OK || wrong(id, value, why);
}

static bool read_relay_address(struct turn_config *c, const char *value)
{
    struct netaddr bind, advertised;
    char text[NETADDR_TEXT];
    const char *comma = strchr(value, ',');
    size_t n = comma ? (size_t)(comma - value) : strlen(value);
    if (n >= sizeof text || (comma && strncmp(comma, ",public=", 8) != 0))
        return wrong(OPTION_relay_address, value, "no IP[,public=IP]");
    memcpy(text, value, n);
    text[n] = '\0';
    if (netaddr_parse(text, 0, &bind) != ERR_OK || bind.port)
        return wrong(OPTION_relay_address, value, "no IP address");
    advertised = bind;
    if (comma && (netaddr_parse(comma + 8, 0, &advertised) != ERR_OK || advertised.port))
        return wrong(OPTION_relay_address, value, "the public address is no IP address");
    return turn_config_add_relay(c, &bind, &advertised) == ERR_OK;
}

static bool read_ports(struct turn_config *c, const char *value)
{
    unsigned least, most;
    char more;
    if (sscanf(value, "%u-%u%c", &least, &most, &more) != 2 || least > most || most > 65535)
        return wrong(OPTION_relay_ports, value, "no MIN-MAX");
    c->port_min = (uint16_t)least;
    c->port_max = (uint16_t)most;
    return true;
}

static bool read_alternate(struct turn_config *c, const char *value)
{
    struct netaddr a;
    if (netaddr_parse(value, 0, &a) != ERR_OK || netaddr_is_any(&a))
        return wrong(OPTION_alternate_server, value, "no IP[:PORT]");
    if (c->n_alternates == TURN_ALTERNATES_MAX)
        return wrong(OPTION_alternate_server, value, "one too many");
    c->alternates[c->n_alternates++] = a;
    return true;
}

static bool read_cidr(enum option_id id, const char *value, struct netcidr **list, size_t *n)
{
    struct netcidr net;
    if (netcidr_parse(value, &net) != ERR_OK)
        return wrong(id, value, "no network in CIDR notation");
    return turn_config_add_cidr(list, n, &net) == ERR_OK;
}

static bool read_password_file(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");
    bool good = f && fgets(out, (int)size, f);
    if (good)
        out[strcspn(out, "\r\n")] = '\0';
    if (f)
        fclose(f);
    return good;
}

/* value lies in argv: what it held is overwritten, so that ps shows no password. */
static bool read_user(struct turn_config *c, char *value)
{
    char password[512] = "";
    char *colon = strchr(value, ':');
    if (!colon)
        return wrong(OPTION_user, value, "no NAME:PASSWORD");
    *colon = '\0';
    bool good = true;
    if (colon[1] == '@')
        good = read_password_file(colon + 2, password, sizeof password) ||
               wrong(OPTION_user, value, "the file with the password cannot be read");
    else
        snprintf(password, sizeof password, "%s", colon + 1);
    if (good && turn_config_add_user(c, value, password) != ERR_OK)
        good =
            wrong(OPTION_user, value,
                  "name or password are empty, too long or have control characters, or no --realm was given");
    OPENSSL_cleanse(password, sizeof password);
    *colon = ':';
    memset(colon + 1, 'x', strlen(colon + 1));
    return good;
}

static bool add_secret(struct turn_config *c, const char *secret)
{
    return turn_config_add_secret(c, secret) == ERR_OK;
}

/* One secret from each line that is not empty. */
static bool read_secrets_file(struct turn_config *c, const char *path)
{
    char line[TURN_SECRET_MAX + 3];
    size_t before = c->n_shared_secrets;
    FILE *f = fopen(path, "re");
    bool good = f != NULL;
    while (good && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        good = !line[0] || add_secret(c, line);
    }
    if (f)
        fclose(f);
    OPENSSL_cleanse(line, sizeof line);
    return good && c->n_shared_secrets > before;
}

/* As with passwords, the process list shows none. */
static bool read_secret(struct turn_config *c, char *value)
{
    if (value[0] == '@')
        return read_secrets_file(c, value + 1) ||
               wrong(OPTION_shared_secret, value,
                     "cannot be read, or has no secret, too long a one, or too many");
    bool good = add_secret(c, value);
    memset(value, 'x', strlen(value));
    return good || wrong(OPTION_shared_secret, value, "empty, too long, or one too many");
}

static bool read_algorithms(struct turn_config *c, const char *value)
{
    static const struct {
        const char *words;
        enum stun_algorithm list[STUN_ALGORITHMS];
        size_t n;
    } forms[] = {{"sha256,md5", {STUN_ALGORITHM_SHA256, STUN_ALGORITHM_MD5}, 2},
                 {"md5,sha256", {STUN_ALGORITHM_MD5, STUN_ALGORITHM_SHA256}, 2},
                 {"sha256", {STUN_ALGORITHM_SHA256}, 1},
                 {"md5", {STUN_ALGORITHM_MD5}, 1}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(value, forms[i].words) == 0) {
            memcpy(c->algorithms, forms[i].list, sizeof c->algorithms);
            c->n_algorithms = forms[i].n;
            return true;
        }
    return wrong(OPTION_password_algorithms, value, "must be sha256, md5 or both");
}

static bool read_quota(enum option_id id, const char *value, uint32_t *out)
{
    unsigned long v;
    if (!read_number(id, value, 100000000, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool read_binding(struct turn_config *c, const char *value)
{
    static const char *const words[] = {"open", "authenticated", "off"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(value, words[i]) == 0) {
            c->binding = (enum turn_binding)i;
            return true;
        }
    return wrong(OPTION_binding, value, "must be open, authenticated or off");
}

static bool read_channel_numbers(struct turn_config *c, const char *value)
{
    c->channels_rfc5766 = strcmp(value, "rfc5766") == 0;
    return c->channels_rfc5766 || strcmp(value, "rfc8656") == 0 ||
           wrong(OPTION_channel_numbers, value, "must be rfc8656 or rfc5766");
}

static bool read_gso(struct turn_config *c, const char *value)
{
    c->gso_off = strcmp(value, "off") == 0;
    return c->gso_off || strcmp(value, "auto") == 0 || wrong(OPTION_gso, value, "must be auto or off");
}

static bool read_workers(struct turn_options *o, const char *value)
{
    unsigned long v;
    if (!read_number(OPTION_workers, value, TURN_WORKERS_MAX, &v))
        return false;
    o->workers = (unsigned)v;
    return v > 0 || wrong(OPTION_workers, value, "must be at least 1");
}

static bool read_statistics(struct turn_options *o, const char *value)
{
    unsigned long v;
    if (!read_number(OPTION_stats_interval, value, 86400, &v))
        return false;
    o->statistics = (double)v;
    return true;
}

static bool read_log_level(const char *value)
{
    int level = log_parse_level(value);
    if (level < 0)
        return wrong(OPTION_log_level, value, "no such level");
    log_set_level(level);
    return true;
}

static bool read_option(enum option_id id, char *value, struct turn_options *o, struct turn_config *c)
{
    switch (id) {
    case OPTION_listen:
    case OPTION_tls_listen:
        return read_listen(id, o, value);
    case OPTION_cert:
        return read_pem(id, value, &o->cert_pem);
    case OPTION_key:
        return read_pem(id, value, &o->key_pem);
    case OPTION_relay_address:
        return read_relay_address(c, value);
    case OPTION_relay_ports:
        return read_ports(c, value);
    case OPTION_realm:
        return turn_config_set_realm(c, value) == ERR_OK ||
               wrong(id, value, "empty, too long, or has a quote or control characters in it");
    case OPTION_user:
        return true; /* when the realm is known */
    case OPTION_shared_secret:
        return read_secret(c, value);
    case OPTION_password_algorithms:
        return read_algorithms(c, value);
    case OPTION_allow_peer:
        return read_cidr(id, value, &c->allow_peers, &c->n_allow_peers);
    case OPTION_deny_peer:
        return read_cidr(id, value, &c->deny_peers, &c->n_deny_peers);
    case OPTION_channel_numbers:
        return read_channel_numbers(c, value);
    case OPTION_alternate_server:
        return read_alternate(c, value);
    case OPTION_user_quota:
        return read_quota(id, value, &c->quota_user);
    case OPTION_address_quota:
        return read_quota(id, value, &c->quota_address);
    case OPTION_total_quota:
        return read_quota(id, value, &c->quota_total);
    case OPTION_allocation_kbps:
        return read_quota(id, value, &c->allocation_kbps);
    case OPTION_user_kbps:
        return read_quota(id, value, &c->user_kbps);
    case OPTION_challenge_limit:
        return read_quota(id, value, &c->challenge_limit);
    case OPTION_binding:
        return read_binding(c, value);
    case OPTION_gso:
        return read_gso(c, value);
    case OPTION_software:
        free(c->software);
        c->software = strdup(value);
        return c->software != NULL;
    case OPTION_workers:
        return read_workers(o, value);
    case OPTION_stats_interval:
        return read_statistics(o, value);
    case OPTION_log_level:
        return read_log_level(value);
    case OPTION_COUNT:
        break;
    }
    return false;
}

/* Walks over argv; users_only: passwords wait for the realm, so they take a second walk. */
static enum turn_options_result walk(int argc, char **argv, bool users_only, struct turn_options *o,
                                     struct turn_config *c)
{
    char names[OPTION_COUNT][40];
    struct option options[OPTION_COUNT + 2] = {0};
    for (enum option_id id = 0; id < OPTION_COUNT; id++)
        options[id] = (struct option){option_name(id, names[id]), required_argument, NULL, (int)id + 256};
    options[OPTION_COUNT] = (struct option){"help", no_argument, NULL, 'h'};
    optind = 0;
    for (int found; (found = verb_option(argc, argv, "h", options)) != -1;) {
        if (found == 'h') {
            print_help();
            return TURN_OPTIONS_HELP;
        }
        if (found < 256)
            return TURN_OPTIONS_USAGE;
        enum option_id id = (enum option_id)(found - 256);
        if (users_only ? id == OPTION_user && !read_user(c, optarg) : !read_option(id, optarg, o, c))
            return TURN_OPTIONS_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "stile-edge turn: \"%s\" is no option\n", argv[optind]);
        return TURN_OPTIONS_USAGE;
    }
    return TURN_OPTIONS_OK;
}

static bool needs_certificate(const struct turn_options *o)
{
    bool tls = o->cert_pem || o->key_pem;
    for (size_t i = 0; i < o->n_listen; i++)
        tls |= o->listen[i].tls;
    return tls && !(o->cert_pem && o->key_pem);
}

enum turn_options_result turn_options_parse(int argc, char **argv, struct turn_options *o,
                                            struct turn_config *c)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *o = (struct turn_options){.workers = processors < 1                  ? 1
                                          : processors > TURN_WORKERS_MAX ? TURN_WORKERS_MAX
                                                                          : (unsigned)processors};
    enum turn_options_result r = walk(argc, argv, false, o, c);
    if (r == TURN_OPTIONS_OK)
        r = walk(argc, argv, true, o, c);
    const char *missing = !o->n_listen           ? "--listen"
                          : !c->n_relays         ? "--relay-address"
                          : !c->realm            ? "--realm"
                          : needs_certificate(o) ? "--cert or --key"
                                                 : NULL;
    if (r == TURN_OPTIONS_OK && missing) {
        fprintf(stderr, "stile-edge turn: %s is missing\n", missing);
        r = TURN_OPTIONS_USAGE;
    }
    if (r == TURN_OPTIONS_USAGE)
        fprintf(stderr, "stile-edge turn --help lists the options\n");
    return r;
}

void turn_options_free(struct turn_options *o)
{
    free(o->listen);
    free(o->cert_pem);
    file_wipe(o->key_pem);
    *o = (struct turn_options){0};
}
