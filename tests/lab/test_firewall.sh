#!/usr/bin/env bash
# The firewalls of the lab run the rules that `stile-core firewall print` makes: a guest's request and relayed media get through,
# what is not needed does not. nft takes the rules of other configs as well.
. "$(dirname "$0")/lab.sh"
. "$ROOT/tests/lab/boxes.sh"
lab_up
lab_ca
lab_dns
bridge_start
pair_init

rules() { lab_in core "$CORE" firewall print --dir "$RUN/core" "$@"; }

# The lab's own rules go: what is let through is what was printed.
for box in fwout fwin; do lab_in $box nft delete table inet stile; done
rules outer >"$LAB/outer.nft"
rules inner >"$LAB/inner.nft"
rules edge edge1 >"$LAB/edge.nft"
check 'the outer firewall loads its rules' lab_in fwout nft -f "$LAB/outer.nft"
check 'the inner firewall loads its rules' lab_in fwin nft -f "$LAB/inner.nft"
check 'the edge loads its rules' lab_in edge nft -f "$LAB/edge.nft"
# A bare Debian has no /etc/protocols (package netbase).
# shellcheck disable=SC2016 # for the inner shell
check 'a box without /etc/protocols takes them' lab_in edge unshare --mount --propagation private sh -c '
    [ ! -e /etc/protocols ] || mount --bind /dev/null /etc/protocols; exec nft -c -f "$1"' nft "$LAB/edge.nft"
check 'loading rules again replaces them' lab_in fwout nft -f "$LAB/outer.nft"
check 'the core that printed them is who may dial' grep -q "ip saddr $CORE_ADDRESS ip daddr $EDGE_INNER tcp dport 2222" "$LAB/inner.nft"
edge_start
core_start
need 10 'a request through both boxes' guest_gets_through
pass "a guest's request gets through"
listens_on_guest_ports() { tcp_open guest $EDGE_PUBLIC 80 && tcp_open guest $EDGE_PUBLIC 3478 && tcp_open guest $EDGE_PUBLIC 5349; }
check 'guests reach port 80 and TURN over TCP and TLS' listens_on_guest_ports
# A client in the LAN has a relay, and asks it to send to a second relay: requests and media cross the inner firewall.
check 'a call bridge gets its media through a relay' lab_in bridge timeout 20 turnutils_uclient -c -s -y -n 5 -m 2 \
    -u "$TURN_USER" -w "$TURN_PASSWORD" $EDGE_INNER

# What nobody needs.
lab_spawn bridge closed node -e 'require("net").createServer().listen(7777)'
need 5 'a service in the LAN' tcp_open bridge 127.0.0.1 7777
refute 'the edge opens nothing towards the LAN' tcp_open edge $BRIDGE_ADDRESS 7777
lab_spawn edge closed node -e 'require("net").createServer().listen(7778)'
need 5 'a service on the edge' tcp_open edge 127.0.0.1 7778
refute 'guests reach no other port of the edge' tcp_open guest $EDGE_PUBLIC 7778
refute 'the LAN reaches no other port of the edge' tcp_open core $EDGE_INNER 7778
refute 'guests do not reach the SSH server' tcp_open guest $EDGE_PUBLIC 2222
refute 'nobody but core reaches it from the LAN' tcp_open bridge $EDGE_INNER 2222

# Configs of other kinds: only nft judges.
accepted() { # WHAT EDGE [INIT-OPTION...]
    local what=$1 edge=$2
    shift 2
    rm -rf "$RUN/other"
    lab_in core "$CORE" init --dir "$RUN/other" --join-url "https://$JOIN_HOST" --core core1 --edge "$edge" \
        --allow-peer 10.0.0.0/8 --allow-peer fd00::/8 "$@" >"$LAB/log/other.log" 2>&1 || cat "$LAB/log/other.log"
    lab_in core "$CORE" firewall print --dir "$RUN/other" --core 10.1.1.1 --core fd20::1 >"$LAB/other.nft"
    check "nft takes the rules for $what" lab_in guest nft -c -f "$LAB/other.nft"
}
accepted 'IPv6' 'e-1.x=[fd20::9]:2022,public=2001:db8:b::10'
check 'the tunnel has the port of ssh' grep -q 'ip6 saddr fd20::1 ip6 daddr fd20::9 tcp dport 2022' "$LAB/other.nft"
accepted 'static NAT, several edges and other ports' \
    'edge1=10.0.0.36,public=203.0.113.10,internal=10.0.0.36,https_port=8443,http_port=0,turn_udp_port=3479' \
    --edge 'edge2=192.0.2.9,public=203.0.113.11,relay=203.0.113.12,relay=192.0.2.10=203.0.113.13'
check 'behind static NAT the own address counts' grep -q 'ip daddr 10.0.0.36 tcp dport 8443 accept' "$LAB/other.nft"
check 'every relay address has its rule' grep -q 'ip daddr 192.0.2.10 udp dport 24000-29999 accept' "$LAB/other.nft"
refute 'a port that is off has none' grep -q 'ip daddr 10.0.0.36 tcp dport 80 ' "$LAB/other.nft"
rm -rf "$RUN/other"
lab_in core "$CORE" init --dir "$RUN/other" --join-url "https://$JOIN_HOST" --core core1 --edge edge1=edge.example.com >/dev/null 2>&1
is 'an edge without an address is refused with the remedy' \
    "$(lab_in core "$CORE" firewall print --dir "$RUN/other" 2>&1 | grep -c 'give it public_address')" 1
tap_done
