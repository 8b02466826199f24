#!/usr/bin/env bash
# TCP allocations (RFC 6062) with coturn's client: pairs of clients whose relays connect to each other, over IPv4 and
# IPv6, with the workers spread so that most ConnectionBinds reach another worker than their allocation's.
#
#    guest ------------------- edge      relays on 203.0.113.10 and 2001:db8:b::36; and, by itself on another port,
#    198.51.100.10             10.0.0.36 behind static NAT: bound to 10.0.0.36, advertised as 192.88.99.10
#    2001:db8:b::10            203.0.113.10, 2001:db8:b::36
LAB_BOXES="guest edge"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"

EDGE=$BUILD/stile-edge
WORKERS=4
lab_prepare
for box in $LAB_BOXES; do
    lab_in "$box" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    ip -n "$(lab_ns "$box")" link set lo up
done
link_pair guest net0 edge net0
link_address guest net0 198.51.100.10/24 2001:db8:b::10/64
link_address edge net0 10.0.0.36/24 2001:db8:b::36/64
ip -n "$(lab_ns edge)" address add 203.0.113.10/32 dev net0
ip -n "$(lab_ns guest)" route add 10.0.0.36 dev net0
ip -n "$(lab_ns guest)" route add 203.0.113.10 dev net0
ip -n "$(lab_ns edge)" route add 198.51.100.0/24 dev net0 2>/dev/null

printf 'apple\n' >"$LAB/tmp/password"
relay() { # relay NAME PORT PORTS RELAY-ADDRESS...
    local name=$1 port=$2 ports=$3 addresses=()
    shift 3
    for a in "$@"; do addresses+=(--relay-address "$a"); done
    lab_spawn edge "$name" "$EDGE" turn --listen "10.0.0.36:$port" --listen "[2001:db8:b::36]:$port" "${addresses[@]}" \
        --relay-ports "$ports" --realm example.org --user "alice:@$LAB/tmp/password" --workers $WORKERS --log-level info
    need 5 "the relay $name" tcp_open guest 10.0.0.36 "$port"
}
relay plain 3478 24000-25999 203.0.113.10 2001:db8:b::36
relay nat 3479 26000-27999 10.0.0.36,public=192.88.99.10

client() { # client NAME OPTION... ADDRESS
    local name=$1
    shift
    lab_in guest timeout 60 turnutils_uclient -u alice -w apple -T -m 12 -n 20 -l 200 "$@" >"$LAB/log/guest-$name.log" 2>&1
    echo $? >"$LAB/tmp/$name.status"
}

claims() {
    is "$2: the client ends well" "$(cat "$LAB/tmp/$1.status")" 0
    is "$2: packets lost" "$(grep -o 'Total lost packets.*' "$LAB/log/guest-$1.log")" \
        "Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)"
}

client four 10.0.0.36 &
client nat -p 3479 10.0.0.36 &
client six -x 2001:db8:b::36 &
wait
claims four "IPv4"
claims nat "IPv4 behind static NAT, whose public address nobody has"
claims six "IPv6"

statistics() { grep -h '^{"allocations"' "$LAB/log/edge-$1.log"; }
reports() { [ "$(statistics "$1" | wc -l)" = $WORKERS ]; }
for name in plain nat; do
    kill -USR1 "$(lab_pid edge $name)"
    need 5 "the workers' counters" reports $name
done
sum() { statistics "$1" | jq -s "map($2) | add"; }
at_least "connections with peers" "$(sum plain .counters.events.peer_connections)" 24
at_least "ConnectionBinds that succeeded" "$(sum plain .counters.successes.ConnectionBind)" 24
at_least "of those, handed to another worker" "$(sum plain .counters.events.peer_connections_handed)" 1
at_least "payload from clients, bytes" "$(sum plain .counters.from_clients.TCP.bytes)" $((24 * 20 * 200))
is "connections that are left" "$(sum plain .peer_connections)" 0
is "descriptors of relays that are left" "$(lab_in edge ss -Hlnt 'sport >= 24000 and sport <= 27999' | wc -l)" \
    "$(statistics plain | jq -s '[.[].relays[] | select(.transport == "TCP") | .relayed[]] | length')"

lab_stop edge plain
lab_stop edge nat
refute "they stopped without a word" grep -q 'Worker Died' "$LAB/log/edge-plain.log" "$LAB/log/edge-nat.log"
tap_done
