#include "common/alarm_table.h"

#include <syslog.h>

static const struct alarm_row rows[] = {
    {ALARM_TUNNEL_DOWN, "tunnel_down", ALARM_ERROR, ALARM_ON_CORE, NULL, "A tunnel to an edge is down",
     "The SSH connection to the edge broke or could not be made; the detail has the reason.",
     "See that the edge runs and that core reaches its SSH port ('stile-core firewall print'); a wrong host "
     "key means another box or a new key."},
    {ALARM_EDGE_UNREACHABLE, "edge_unreachable", ALARM_CRITICAL, ALARM_ON_CORE, NULL,
     "No tunnel to this edge is up",
     "The edge is down, or the network between core and edge is: its guests get an error page.",
     "See that the edge runs and that core reaches its SSH port; 'stile-core status' has the reason of each "
     "tunnel."},
    {ALARM_CORE_MISSING, "core_missing", ALARM_ERROR, ALARM_ON_EDGE, NULL,
     "A core of the config has no tunnel to this edge",
     "That core is stopped, cannot reach this edge, or its key is not the one in stile.json.",
     "Look at 'stile-core status' on that core; let its firewall pass SSH to this edge."},
    {ALARM_NO_TUNNEL, "no_tunnel", ALARM_CRITICAL, ALARM_ON_EDGE, NULL, "No core has a tunnel to this edge",
     "Every core is stopped or cannot reach this edge: guests get an error page, TURN goes on.",
     "Start a core, or mend the network between the boxes; 'stile-core status' on core has the reason."},
    {ALARM_SSH_SERVER_DOWN, "ssh_server_down", ALARM_CRITICAL, ALARM_ON_EDGE, NULL,
     "The edge's SSH server is down", "sshd ended or cannot be started; the detail has its last words.",
     "Install openssh-server, free the SSH port, and see that its host key is readable; it is started again "
     "by itself."},
    {ALARM_CLOCK_SKEW, "clock_skew", ALARM_WARNING, ALARM_ON_BOTH, "tunnel",
     "The clocks of the two boxes differ",
     "One of the boxes does not keep time: credentials that live for a while, certificates and logs go wrong.",
     "Let both boxes take their time from the network (systemd-timesyncd, chrony)."},
    {ALARM_POLICY_REFUSED, "policy_refused", ALARM_ERROR, ALARM_ON_BOTH, NULL,
     "An edge does not take a core's policy",
     "Its revision is older than the one in force there, or the edge does not understand it.",
     "Give all cores the same stile.json with a higher revision; bring both boxes to the same version."},
    {ALARM_TARGET_FAILED, "target_failed", ALARM_ERROR, ALARM_ON_CORE, NULL, "A web bridge does not answer",
     "The bridge is down, core cannot reach it, or its certificate is not right; the detail has the reason.",
     "Start the bridge, open the firewall between core and it, or correct its certificate or "
     "web_proxy.bridge_ca."},
    {ALARM_NO_ACTIVE_TARGET, "no_active_target", ALARM_CRITICAL, ALARM_ON_CORE, NULL,
     "No web bridge of this domain can be used",
     "All of its targets failed, or DNS has none: its guests get an error page.",
     "Look at the alarms of its targets, and at 'stile-core status'."},
    {ALARM_TARGET_UNRESOLVED, "target_unresolved", ALARM_ERROR, ALARM_ON_CORE, NULL,
     "DNS does not know a web bridge", "The DNS server does not answer, or has no record of this name.",
     "Correct the record, or name the bridge in web_proxy.targets; then 'stile-core dns flush'."},
    {ALARM_CERTIFICATE_EXPIRED, "certificate_expired", ALARM_CRITICAL, ALARM_ON_EDGE, NULL,
     "A certificate for guests has expired", "It was not renewed: browsers refuse it.",
     "Renew it and install it with 'stile-edge cert install'."},
    {ALARM_CERTIFICATE_NOT_YET_VALID, "certificate_not_yet_valid", ALARM_CRITICAL, ALARM_ON_EDGE, NULL,
     "A certificate for guests is not valid yet", "It was made for later, or this box's clock is wrong.",
     "Set the clock, or install a certificate that is valid now."},
    {ALARM_CERTIFICATE_ENDS_IN_DAYS, "certificate_ends_in_days", ALARM_ERROR, ALARM_ON_EDGE, NULL,
     "A certificate for guests ends within 7 days", "It was not renewed in time.",
     "Renew it now and install it with 'stile-edge cert install'."},
    {ALARM_CERTIFICATE_EXPIRING, "certificate_expiring", ALARM_WARNING, ALARM_ON_EDGE, NULL,
     "A certificate for guests ends within 21 days", "It is to be renewed; what renews it may have failed.",
     "Renew it and install it with 'stile-edge cert install'."},
    {ALARM_CERTIFICATE_MISMATCHED, "certificate_mismatched", ALARM_CRITICAL, ALARM_ON_EDGE, NULL,
     "No certificate names this join host",
     "The certificate is for other names, or the join host has changed: browsers warn.",
     "Install a certificate that names it: 'stile-edge cert csr' makes the request."},
    {ALARM_CERTIFICATE_CHAIN, "certificate_chain", ALARM_WARNING, ALARM_ON_EDGE, NULL,
     "The chain of a certificate is not right",
     "An intermediate certificate is missing or out of order: some browsers will refuse it.",
     "Put the certificate and its intermediates, in that order, into one file and install it. Where a root of "
     "your own signed it directly, put the root behind it."},
    {ALARM_CERTIFICATE_OCSP, "certificate_ocsp", ALARM_WARNING, ALARM_ON_EDGE, NULL,
     "The OCSP response of a certificate is missing or wrong",
     "What fetches it failed, or it is for another certificate; one that must be stapled is refused without.",
     "Fetch it anew into the .ocsp file beside the certificate (docs/tls.md)."},
    {ALARM_CERTIFICATE_REVOKED, "certificate_revoked", ALARM_CRITICAL, ALARM_ON_EDGE, NULL,
     "A certificate for guests is revoked", "Its authority says so in the OCSP response.",
     "Find out why, then install a new certificate with a new key."},
    {ALARM_CERTIFICATE_SELF_SIGNED, "certificate_self_signed", ALARM_WARNING, ALARM_ON_EDGE, NULL,
     "A certificate for guests is signed by itself", "Browsers warn of it: it is for trying out.",
     "Install one of an authority that browsers know."},
    {ALARM_CERTIFICATE_REFUSED, "certificate_refused", ALARM_ERROR, ALARM_ON_EDGE, NULL,
     "A certificate file was not taken",
     "It cannot be read, its key does not match, or it is not valid; what was in use goes on.",
     "Correct or remove the file; the detail says what is wrong with it."},
    {ALARM_RELAY_PORTS, "relay_ports", ALARM_ERROR, ALARM_ON_EDGE, "turn", "No TURN relay port is free",
     "More relays are asked for than turn.relay_ports has ports: new calls get no media.",
     "Widen turn.relay_ports, or add an edge."},
    {ALARM_RELAY_TOTAL, "relay_total_quota", ALARM_ERROR, ALARM_ON_EDGE, "turn",
     "The total quota of TURN relays is reached", "More relays are asked for than turn.total_quota allows.",
     "Raise turn.total_quota, or add an edge."},
    {ALARM_RELAY_USER, "relay_user_quota", ALARM_WARNING, ALARM_ON_EDGE, "turn",
     "A TURN user has reached the quota of relays", "One user asks for more relays than turn.user_quota.",
     "Raise turn.user_quota, or look what this user does."},
    {ALARM_RELAY_ADDRESS, "relay_address_quota", ALARM_WARNING, ALARM_ON_EDGE, "turn",
     "A client address has reached the quota of TURN relays",
     "One address asks for more relays than turn.address_quota: many people behind one NAT, or an attack.",
     "Raise turn.address_quota; call bridges' networks belong into turn.allow_peers."},
    {ALARM_RELAY_COUNTERS, "relay_counters", ALARM_ERROR, ALARM_ON_EDGE, "turn",
     "There are too many TURN users or addresses to count",
     "Quotas are counted per user and address, and there are more at one time than can be.",
     "Let credentials live shorter; without quotas and bandwidth per user nothing has to be counted."},
    {ALARM_RELAY_RESERVATIONS, "relay_reservations", ALARM_WARNING, ALARM_ON_EDGE, "turn",
     "Too many TURN relay ports are reserved",
     "A client reserves ports (EVEN-PORT) faster than it uses them.", "Look what this user does."},
    {ALARM_RELAY_DESCRIPTORS, "relay_descriptors", ALARM_ERROR, ALARM_ON_EDGE, "turn",
     "A TURN worker has no descriptor left", "More relays and connections than LimitNOFILE= allows.",
     "Raise LimitNOFILE= of the service, or ulimit -n."},
    {ALARM_RELAY_ADDRESS_MISSING, "relay_address_missing", ALARM_CRITICAL, ALARM_ON_EDGE, NULL,
     "This box does not have the address that TURN relays are to have",
     "The address is not configured on this box (any more): TURN does not work.",
     "Give the box the address, or correct it in stile.json; the edge notices by itself."},
    {ALARM_FLOOD, "turn_flood", ALARM_WARNING, ALARM_ON_EDGE, "turn", "A flood at a TURN port is held back",
     "Strangers send more than the worker can read: clients with relays go first, others are shed.",
     "Filter the sources in front of the edge if it lasts."},
    {ALARM_WORKER_CRASHING, "worker_crashing", ALARM_ERROR, ALARM_ON_BOTH, NULL,
     "A worker process ended unexpectedly",
     "A fault in the program, or the kernel killed it for its memory; it is started again by itself.",
     "Look at the log around that time, and at the kernel's (dmesg); report a crash that comes again."},
    {ALARM_CONFIG_REFUSED, "config_refused", ALARM_ERROR, ALARM_ON_BOTH, NULL,
     "The config on the disk was refused",
     "A reload found a mistake: the running config goes on, but the box would not start with these files.",
     "Correct what the detail names and reload."},
    {ALARM_STORE_TROUBLE, "store_trouble", ALARM_ERROR, ALARM_ON_BOTH, NULL, "A database cannot be used",
     "The disk is full, the file is damaged, or another program holds it; what is in memory goes on.",
     "Do what the detail says; the box tries again by itself."},
    {ALARM_ACCESS_LOG, "access_log", ALARM_WARNING, ALARM_ON_EDGE, NULL, "The access log cannot be opened",
     "Its folder is missing or not writable for the edge: requests are not logged.",
     "Make the folder of web_proxy.access_log.file writable for the edge, then reload."},
    {ALARM_BANS_FULL, "bans_full", ALARM_WARNING, ALARM_ON_EDGE, NULL, "The list of banned addresses is full",
     "More addresses offend at one time than can be banned: a distributed attack.",
     "Filter in front of the edge; shorten the durations below bans."},
    {ALARM_ADMIN_ATTACK, "admin_attack", ALARM_WARNING, ALARM_ON_BOTH, NULL,
     "Somebody guesses passwords of the admin service",
     "Many logins failed, from one address or for one user: they are held back.",
     "Keep the admin port off the internet (admin.interface); look at the address in the detail."},
};

enum { ROWS = sizeof rows / sizeof *rows };

const struct alarm_row *alarm_row(unsigned number)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].number == number)
            return &rows[i];
    return NULL;
}

const struct alarm_row *alarm_rows(size_t *n)
{
    *n = ROWS;
    return rows;
}

const char *alarm_severity_name(enum alarm_severity severity)
{
    static const char *const names[] = {"critical", "error", "warning"};
    return names[severity];
}

int alarm_severity_level(enum alarm_severity severity)
{
    static const int levels[] = {LOG_CRIT, LOG_ERR, LOG_WARNING};
    return levels[severity];
}

const char *alarm_box_name(enum alarm_box box)
{
    static const char *const names[] = {"", "core", "edge", "both"};
    return names[box];
}
