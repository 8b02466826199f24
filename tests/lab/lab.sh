# shellcheck shell=bash
# The lab: a guest in the internet, a DMZ between two firewalls and a LAN, each a network namespace of this machine.
#
#    internet        :    firewall     :       DMZ        :     firewall     :              LAN
#                    :                 :                  :                  :          lan0 (switch)
#   guest -------------- fwout ------------- edge ------------- fwin -----------+------ core    .10
#   198.51.100.10    : .1      .1      : 203.0.113.10     : .1       .1      :  +------ bridge  .20  nginx, Janus
#   2001:db8:a::10   :                 :   192.0.2.10     :                  :  +------ dns     .53  dnsmasq
#                                                                               10.20.0.0/24, fd20::/64
#
#   guest - fwout   198.51.100.0/24  2001:db8:a::/64       The join host is join.example.com: for the internet it
#   fwout - edge    203.0.113.0/24   2001:db8:b::/64       is the edge (203.0.113.10), for the LAN it is the bridge
#   edge  - fwin    192.0.2.0/24     2001:db8:c::/64       (10.20.0.20). Relayed addresses are 203.0.113.10 too; fwin
#                                                          sends what the LAN has for them to the edge's inner leg.
#
# What the firewalls let through is in fwout.nft and fwin.nft. Nothing here has a route to this machine's own network.
#
# A test sources this file, calls lab_up, starts what it needs (boxes.sh), and ends with tap_done; everything that it
# started in the namespaces dies with it. Two runs at once do not meet: names carry the prefix of the run.
set -uo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(realpath -m "${BUILD:-$ROOT/build}")
TEST_NAME=$(basename "$0" .sh)
LAB=$BUILD/lab/$TEST_NAME
LAB_PREFIX=stile$$
RUN= # the boxes' own folders and programs, where the account of the daemons can reach them
LAB_BOXES=${LAB_BOXES:-guest fwout edge fwin core bridge dns}

# shellcheck disable=SC2034 # addresses for the tests
JOIN_HOST=join.example.com
EDGE_PUBLIC=203.0.113.10
EDGE_PUBLIC6=2001:db8:b::10
EDGE_INNER=192.0.2.10
CORE_ADDRESS=10.20.0.10
CORE_ADDRESS6=fd20::10
BRIDGE_ADDRESS=10.20.0.20
BRIDGE_ADDRESS6=fd20::20
LAN_NET=10.20.0.0/24

. "$ROOT/tests/lab/tap.sh"

lab_ns() { echo "$LAB_PREFIX-$1"; }

# lab_in BOX COMMAND... : runs it there in the foreground.
lab_in() {
    local box=$1
    shift
    ip netns exec "$LAB_PREFIX-$box" "$@"
}

# lab_spawn BOX NAME COMMAND... : runs it there in the background; its output goes to log/BOX-NAME.log.
lab_spawn() {
    local box=$1 name=$2
    shift 2
    printf '+ %s\n' "$*" >>"$LAB/log/$box-$name.log"
    setsid ip netns exec "$LAB_PREFIX-$box" "$@" >>"$LAB/log/$box-$name.log" 2>&1 </dev/null &
    echo $! >"$LAB/pid/$box-$name"
    disown
}

lab_pid() { cat "$LAB/pid/$1-$2"; }

lab_alive() { kill -0 "$(lab_pid "$1" "$2")" 2>/dev/null; }

# lab_stop BOX NAME [SIGNAL]: ends what lab_spawn started and waits until it is gone, 10 s at most.
lab_stop() {
    local pid
    pid=$(lab_pid "$1" "$2")
    kill "-${3:-TERM}" "$pid" 2>/dev/null
    wait_for 10 "$1-$2 to end" process_gone "$pid" || kill -KILL "$pid" 2>/dev/null
}

process_gone() {
    local state
    state=$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null)
    [ -z "$state" ] || [ "$state" = Z ]
}

now_ms() {
    local now=$EPOCHREALTIME
    echo $((${now/./} / 1000))
}

# wait_for SECONDS WHAT COMMAND... : polls COMMAND until it succeeds; says on stderr what did not come. What takes longer than a
# second is looked at less often: COMMAND takes processors from the other test that runs.
wait_for() {
    local limit=$1 what=$2 now start
    shift 2
    start=$(now_ms)
    until "$@" >/dev/null 2>&1; do
        now=$(now_ms)
        if [ "$now" -gt $((start + limit * 1000)) ]; then
            diag "waited $limit s for $what"
            return 1
        fi
        if [ "$now" -gt $((start + 1000)) ]; then sleep 0.1; else sleep 0.02; fi
    done
}

# need SECONDS WHAT COMMAND... : the same, for what the rest of a test cannot do without.
need() {
    wait_for "$@" || { echo "Bail out! $2 did not come up (make check installs what is missing: packaging/deps check)"; exit 1; }
}

tcp_open() { lab_in "$1" timeout 1 bash -c ": </dev/tcp/$2/$3" 2>/dev/null; }

# Building and tearing down ------------------------------------------------------------------------------------

# lab_prepare: a directory, and the boxes of LAB_BOXES, without cables; all of it ends with this shell.
lab_prepare() {
    [ "$(id -u)" = 0 ] || { echo "1..0 # skip the lab takes root (network namespaces)"; exit 0; }
    rm -rf "$LAB"
    mkdir -p "$LAB/log" "$LAB/pid" "$LAB/tmp"
    RUN=$(mktemp -d "/var/tmp/$LAB_PREFIX.XXXXXX")
    chmod 755 "$RUN"
    lab_remove_dead
    trap lab_exit EXIT
    trap 'exit 130' INT TERM HUP
    local box
    for box in $LAB_BOXES; do
        ip netns add "$(lab_ns "$box")"
        mkdir -p "/etc/netns/$(lab_ns "$box")"
        echo "nameserver 127.0.0.1" >"/etc/netns/$(lab_ns "$box")/resolv.conf"
    done
}

lab_up() {
    local box
    lab_prepare
    lab_links
    lab_routes
    for box in core bridge; do echo "nameserver 10.20.0.53" >"/etc/netns/$(lab_ns $box)/resolv.conf"; done
    lab_in fwout nft -f "$ROOT/tests/lab/fwout.nft"
    lab_in fwin nft -f "$ROOT/tests/lab/fwin.nft"
}

# link BOX INTERFACE ADDRESS ADDRESS6 : gives an interface its addresses and brings it up.
link_address() {
    ip -n "$(lab_ns "$1")" -batch - <<-END
	address add $3 dev $2
	address add $4 dev $2 nodad
	link set $2 up
	END
}

# link_pair BOX INTERFACE BOX INTERFACE : a cable between two boxes.
link_pair() {
    ip link add "$2" netns "$(lab_ns "$1")" type veth peer name "$4" netns "$(lab_ns "$3")"
}

lab_links() {
    local box
    for box in $LAB_BOXES; do
        lab_in "$box" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
        ip -n "$(lab_ns "$box")" link set lo up
    done
    for box in fwout fwin; do
        lab_in $box sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    done
    # What the LAN's own machines say to each other crosses a switch, not the firewall.
    lab_in fwin sysctl -qe -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0

    link_pair guest net0 fwout outside
    link_pair fwout dmz edge outer
    link_pair edge inner fwin dmz
    ip -n "$(lab_ns fwin)" link add lan0 type bridge forward_delay 0 mcast_snooping 0
    for box in core bridge dns; do
        link_pair $box net0 fwin port-$box
        ip -n "$(lab_ns fwin)" link set port-$box master lan0 up
    done

    link_address guest net0 198.51.100.10/24 2001:db8:a::10/64
    link_address fwout outside 198.51.100.1/24 2001:db8:a::1/64
    link_address fwout dmz 203.0.113.1/24 2001:db8:b::1/64
    link_address edge outer $EDGE_PUBLIC/24 $EDGE_PUBLIC6/64
    link_address edge inner $EDGE_INNER/24 2001:db8:c::10/64
    link_address fwin dmz 192.0.2.1/24 2001:db8:c::1/64
    link_address fwin lan0 10.20.0.1/24 fd20::1/64
    link_address core net0 $CORE_ADDRESS/24 $CORE_ADDRESS6/64
    link_address bridge net0 $BRIDGE_ADDRESS/24 $BRIDGE_ADDRESS6/64
    link_address dns net0 10.20.0.53/24 fd20::53/64
}

lab_routes() {
    local box
    ip -n "$(lab_ns guest)" route add default via 198.51.100.1
    ip -n "$(lab_ns guest)" -6 route add default via 2001:db8:a::1
    ip -n "$(lab_ns edge)" route add default via 203.0.113.1
    ip -n "$(lab_ns edge)" -6 route add default via 2001:db8:b::1
    ip -n "$(lab_ns edge)" route add $LAN_NET via 192.0.2.1
    ip -n "$(lab_ns edge)" -6 route add fd20::/64 via 2001:db8:c::1
    ip -n "$(lab_ns fwin)" route add $EDGE_PUBLIC via $EDGE_INNER
    ip -n "$(lab_ns fwin)" -6 route add $EDGE_PUBLIC6 via 2001:db8:c::10
    for box in core bridge dns; do
        ip -n "$(lab_ns $box)" route add default via 10.20.0.1
        ip -n "$(lab_ns $box)" -6 route add default via fd20::1
    done
}

lab_exit() {
    local status=$?
    trap - EXIT
    [ $status = 0 ] || lab_show_logs
    lab_down
    exit $status
}

lab_down() {
    lab_remove "$LAB_PREFIX"
    rmdir /etc/netns 2>/dev/null
    return 0
}

# lab_remove PREFIX : the namespaces of one run, with what runs in them, and its folder.
lab_remove() {
    local ns
    for ns in $(ip netns list | awk -v prefix="$1-" 'index($1, prefix) == 1 { print $1 }'); do
        # shellcheck disable=SC2046 # a list of numbers
        kill -KILL $(ip netns pids "$ns") 2>/dev/null
        ip netns delete "$ns"
        rm -rf "/etc/netns/$ns"
    done
    rm -rf "/var/tmp/$1".*
}

# Runs that were killed before they could tidy up.
lab_remove_dead() {
    local prefix
    for prefix in $(ip netns list | sed -nE 's/^(stile[0-9]+)-.*/\1/p' | sort -u); do
        [ -d "/proc/${prefix#stile}" ] || lab_remove "$prefix"
    done
}

lab_show_logs() {
    local log
    for log in "$LAB"/log/*; do
        [ -s "$log" ] || continue
        diag "---- ${log#"$BUILD"/} (its last lines)"
        tail -n 40 "$log" | sed 's/^/#   /' >&2
    done
    for log in fwout fwin; do
        [[ " $LAB_BOXES " = *" $log "* ]] || continue
        diag "---- $log"
        lab_in $log nft list ruleset 2>/dev/null | grep -E 'packets|elements|counter' | sed 's/^/#   /' >&2
    done
}

# Firewalls ----------------------------------------------------------------------------------------------------

# fw_counter FIREWALL COUNTER : packets that it counted.
fw_counter() {
    lab_in "$1" nft -j list counter inet stile "$2" | jq '.nftables[] | .counter? // empty | .packets'
}

# fw_drops FIREWALL : one line for each kind of packet that was dropped; nothing if none was.
fw_drops() {
    lab_in "$1" nft -j list table inet stile | jq -r '
        .nftables[] | .set? // empty | select(.name | startswith("dropped")) | .elem // [] | .[]
        | .elem | "\(.val.concat | map(tostring) | join(" ")) packets \(.counter.packets)"'
}

no_drops() { [ -z "$(fw_drops fwout)$(fw_drops fwin)" ]; }
