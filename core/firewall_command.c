/* `stile-core firewall`: the command around core/firewall. */
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/box.h"
#include "common/print_json.h"
#include "common/verb.h"
#include "core/firewall.h"

enum { CORES_MAX = 64 };

static const char help[] =
    "usage: stile-core firewall print [outer|inner|edge NAME] [--dir DIR] [--core ADDRESS]... [--json]\n"
    "\n"
    "Writes nftables rules that let through what the config needs and nothing else to or from the edges.\n"
    "\n"
    "  outer        for the firewall between internet and DMZ\n"
    "  inner        for the firewall between DMZ and LAN\n"
    "  edge NAME    for that edge itself\n"
    "\n"
    "  --dir DIR       the box's folder (default /etc/stile)\n"
    "  --core ADDRESS  where cores dial from (default: this box's address towards each edge). May be given\n"
    "                  again\n"
    "  --json          for programs: each table as a text\n"
    "\n"
    "Without a word behind print all of them, each a table of its own. Load one where it belongs with: nft "
    "-f FILE\n";

struct firewall {
    json_t *items; /* NULL: for people, on standard output */
    struct box box;
    struct netaddr cores[CORES_MAX];
    size_t n_cores;
    char why[SCHEMA_WHY];
};

/* The address that packets from here to `to` carry, by the routing table; no packet is sent. */
static bool firewall_source(const struct netaddr *to, struct netaddr *from)
{
    struct sockaddr_storage sa;
    struct netaddr any_port = *to;
    any_port.port = 9; /* discard: connect(2) wants one */
    socklen_t n = netaddr_to_sockaddr(&any_port, &sa);
    int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && connect(fd, (struct sockaddr *)&sa, n) == 0;
    n = sizeof sa;
    found = found && getsockname(fd, (struct sockaddr *)&sa, &n) == 0 &&
            netaddr_from_sockaddr((struct sockaddr *)&sa, n, from) == ERR_OK;
    if (fd >= 0)
        close(fd);
    return found;
}

static bool firewall_add_core(struct firewall *f, struct netaddr core)
{
    core.port = 0;
    for (size_t i = 0; i < f->n_cores; i++)
        if (netaddr_equal_ip(&f->cores[i], &core))
            return true;
    if (f->n_cores == CORES_MAX)
        return false;
    f->cores[f->n_cores++] = core;
    return true;
}

static enum err firewall_find_cores(struct firewall *f)
{
    struct netaddr from;
    char text[NETADDR_TEXT];
    for (size_t i = 0; i < f->box.config.edges.n; i++) {
        const struct config_edge *edge = config_edge_at(&f->box.config, i);
        struct netaddr ssh = firewall_ssh_address(edge);
        if (!firewall_source(&ssh, &from)) {
            snprintf(f->why, sizeof f->why,
                     "this box has no route to %s (edge %s), so its own address there is not known; say it: "
                     "--core ADDRESS",
                     netaddr_print_ip(&ssh, text), edge->name);
            return ERR_NOT_FOUND;
        }
        firewall_add_core(f, from);
    }
    return ERR_OK;
}

/* One table: printed, or put behind the others. */
static void firewall_table(struct firewall *f, const char *of, const struct config_edge *edge)
{
    const struct config *c = &f->box.config;
    char *text = NULL;
    size_t n;
    FILE *out = f->items ? open_memstream(&text, &n) : stdout;
    if (!out)
        return;
    if (edge)
        firewall_print_edge(out, c, edge, f->cores, f->n_cores);
    else if (strcmp(of, "outer") == 0)
        firewall_print_outer(out, c);
    else
        firewall_print_inner(out, c, f->cores, f->n_cores);
    if (out != stdout && fclose(out) == 0)
        json_array_append_new(
            f->items, json_pack("{ss ss* ss}", "of", of, "name", edge ? edge->name : NULL, "rules", text));
    free(text);
}

/* what: "outer", "inner", "edge" (with a name) or NULL for all. */
static enum err firewall_print(struct firewall *f, const char *what, const char *name)
{
    const struct config *c = &f->box.config;
    const struct config_edge *edge = name ? config_edge_find(c, name) : NULL;
    if (name && !edge) {
        snprintf(f->why, sizeof f->why, "%s/%s has no edge named \"%.80s\"", f->box.dir, BOX_CONFIG, name);
        return ERR_NOT_FOUND;
    }
    if (!what || strcmp(what, "outer") == 0)
        firewall_table(f, "outer", NULL);
    if (!what || strcmp(what, "inner") == 0)
        firewall_table(f, "inner", NULL);
    for (size_t i = 0; i < c->edges.n; i++)
        if (!what || config_edge_at(c, i) == edge)
            firewall_table(f, "edge", config_edge_at(c, i));
    if (f->items)
        print_json_items(f->items);
    return ERR_OK;
}

static enum err firewall_do(struct firewall *f, const char *dir, const char *what, const char *name)
{
    enum err e = box_open(&f->box, dir, NULL, f->why);
    if (e == ERR_OK)
        e = box_load(&f->box, f->why);
    if (e == ERR_OK)
        e = firewall_judge(&f->box.config, f->why);
    if (e == ERR_OK && f->n_cores == 0)
        e = firewall_find_cores(f);
    return e == ERR_OK ? firewall_print(f, what, name) : e;
}

static bool firewall_words_right(char **words, int n)
{
    if (n < 1 || strcmp(words[0], "print") != 0)
        return false;
    if (n == 2)
        return strcmp(words[1], "outer") == 0 || strcmp(words[1], "inner") == 0;
    return n == 1 || (n == 3 && strcmp(words[1], "edge") == 0);
}

int firewall_command(int argc, char **argv)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {"core", required_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct firewall f = {.why = "out of memory"};
    const char *dir = BOX_DIR;
    struct netaddr core;
    int option;
    while ((option = verb_option(argc, argv, "", options)) != -1) {
        if (option == 'd') {
            dir = optarg;
        } else if (option == 'c') {
            if (netaddr_parse(optarg, 0, &core) != ERR_OK || core.port || !firewall_add_core(&f, core)) {
                fprintf(stderr, "stile-core firewall: --core %s: an IP address is wanted, of at most %d\n",
                        optarg, CORES_MAX);
                return verb_usage("firewall");
            }
        } else if (option == 'j') {
            f.items = f.items ? f.items : json_array();
        } else if (option == 'h') {
            return fputs(help, stdout) < 0 ? EXIT_FAILED : EXIT_OK;
        } else {
            return verb_usage("firewall");
        }
    }
    int n = argc - optind;
    if (!firewall_words_right(argv + optind, n))
        return verb_usage("firewall");
    enum err e = firewall_do(&f, dir, n > 1 ? argv[optind + 1] : NULL, n > 2 ? argv[optind + 2] : NULL);
    if (e != ERR_OK)
        fprintf(stderr, "stile-core firewall: %s\n", f.why);
    json_decref(f.items);
    box_close(&f.box);
    return e == ERR_OK ? EXIT_OK : EXIT_FAILED;
}
