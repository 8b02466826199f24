#!/usr/bin/env bash
# An edge with two interfaces and three relay addresses: clients of either side are answered by the interface that they
# asked, their relays are on the outer addresses, and what those send leaves by the outer interface, though the default
# route is the inner one. Ten ports on three addresses hold thirty relays.
#
#    guest ------------ fwout ------------- edge ------------- fwin ------------ core
#    198.51.100.10    .1      .1   203.0.113.10, .11, .12    .1     .1      10.20.0.10
#    a client, and the peer        192.0.2.10, 192.0.2.11                a client
#
# 192.0.2.11 is there as an address that fwin would translate: relays on it are told as 203.0.113.200.
LAB_BOXES="guest fwout edge fwin core"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

PEER=198.51.100.10
FIRST_PORT=24000 PORTS=10

addresses() {
    local box=$1 interface=$2 address
    shift 2
    for address in "$@"; do ip -n "$(lab_ns "$box")" address add "$address/24" dev "$interface"; done
    ip -n "$(lab_ns "$box")" link set "$interface" up
}

lab_prepare
for box in $LAB_BOXES; do
    ip -n "$(lab_ns "$box")" link set lo up
    lab_in "$box" sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.ip_forward=1
done
lab_in edge sysctl -qw net.ipv4.ip_forward=0
link_pair guest net0 fwout outside
link_pair fwout dmz edge outer
link_pair edge inner fwin dmz
link_pair fwin lan core net0
addresses guest net0 $PEER
addresses fwout outside 198.51.100.1
addresses fwout dmz 203.0.113.1
addresses edge outer $EDGE_PUBLIC 203.0.113.11 203.0.113.12
addresses edge inner $EDGE_INNER 192.0.2.11
addresses fwin dmz 192.0.2.1
addresses fwin lan 10.20.0.1
addresses core net0 $CORE_ADDRESS
ip -n "$(lab_ns guest)" route add default via 198.51.100.1
ip -n "$(lab_ns core)" route add default via 10.20.0.1
# A default route on each interface, the inner one preferred, and docs/deploy-edge.md's rules.
ip -n "$(lab_ns edge)" -batch - <<END
route add default via 192.0.2.1 dev inner metric 100
route add default via 203.0.113.1 dev outer metric 200
route add default via 203.0.113.1 dev outer table 100
route add default via 192.0.2.1 dev inner table 101
rule add table main suppress_prefixlength 0 priority 100
rule add from $EDGE_PUBLIC table 100 priority 200
rule add from 203.0.113.11 table 100 priority 200
rule add from 203.0.113.12 table 100 priority 200
rule add from $EDGE_INNER table 101 priority 200
rule add from 192.0.2.11 table 101 priority 200
END
lab_in edge nft -f - <<END
table inet lab {
    counter relayed_out { }
    counter answered_in { }
    counter astray { }
    chain out {
        type filter hook postrouting priority 0
        oifname outer ip saddr 203.0.113.0/24 ip daddr $PEER udp dport 3480 counter name relayed_out
        oifname inner ip saddr $EDGE_INNER ip daddr $CORE_ADDRESS udp sport 3478 counter name answered_in
        oifname inner ip saddr 203.0.113.0/24 counter name astray
        oifname outer ip saddr 192.0.2.0/24 counter name astray
    }
}
END
counted() { lab_in edge nft -j list counter inet lab "$1" | jq '.nftables[] | .counter? // empty | .packets'; }

pair_install

# init NAME RELAYS : a config of the pair, made and joined as an administrator would.
init() {
    lab_in core "$CORE" init --dir "$RUN/core-$1" --join-url "https://$JOIN_HOST" --core core1 \
        --edge "edge1=$EDGE_INNER:2222,public=$EDGE_PUBLIC$2" --turn-user "$TURN_USER:$TURN_PASSWORD" >"$LAB/log/core-init-$1.log" 2>&1 &&
        lab_in edge "$EDGE" join "$RUN/core-$1/edge1.bundle" --dir "$RUN/edge-$1" >"$LAB/log/edge-join-$1.log" 2>&1
}

# probe BOX SERVER OPTION... : what a client there sees.
probe() {
    local box=$1 to=$2
    shift 2
    lab_in "$box" timeout 60 "$BUILD/tests/lab/turn_probe" "server=$to:3478" "user=$TURN_USER" "password=$TURN_PASSWORD" "$@"
}

# edge_run NAME : the edge with that config, ready for TURN on both interfaces.
edge_run() {
    lab_spawn edge "edge-$1" "$EDGE" run --dir "$RUN/edge-$1" --run-dir "$RUN/run"
    need 10 "the edge" tcp_open guest $EDGE_PUBLIC 3478
    need 10 "the edge on the inner interface" tcp_open core $EDGE_INNER 3478
    need 10 "its workers" sh -c "grep -q 'Worker Ready.*worker=turn' '$LAB/log/edge-edge-$1.log'"
}

# What is wrong stops the edge before it starts.
check "init with an address that the box does not have" init wrong ,relay=203.0.113.10,relay=203.0.113.99
lab_in edge "$EDGE" run --dir "$RUN/edge-wrong" --run-dir "$RUN/run" >"$LAB/log/edge-wrong.log" 2>&1
check "the edge names it, with file and line" \
    grep -qE 'stile.json:[0-9]+: edges\[0\].relay_addresses\[1\]: 203.0.113.99 is no address of this box' "$LAB/log/edge-wrong.log"
refute "init with an address that is there twice" init twice ,relay=203.0.113.10,relay=203.0.113.10

check "init with three relay addresses" init three ,relay=203.0.113.10,relay=203.0.113.11,relay=203.0.113.12
jq ".turn.relay_ports = [$FIRST_PORT, $((FIRST_PORT + PORTS - 1))]" "$RUN/edge-three/stile.json" >"$LAB/tmp/stile.json"
cat "$LAB/tmp/stile.json" >"$RUN/edge-three/stile.json"
edge_run three
lab_spawn guest peer turnutils_peer -L $PEER -p 3480
need 5 "the echoing peer" lab_in guest sh -c "ss -Hlnu src $PEER | grep -q :3480"

probe guest $EDGE_PUBLIC peer=$PEER:3480 >"$LAB/log/probe-outside.log"
check "a client outside gets an outer relay address" grep -qE '^relayed 203\.0\.113\.1[012]:' "$LAB/log/probe-outside.log"
check "and the peer's answer" grep -qx "data 100 $PEER:3480" "$LAB/log/probe-outside.log"
at_least "packets of relays that left by the outer interface" "$(counted relayed_out)" 1
is "packets of the outer addresses that left by the inner interface, or the other way round" "$(counted astray)" 0
before=$(counted relayed_out)
probe core $EDGE_INNER peer=$PEER:3480 >"$LAB/log/probe-inside.log"
check "a client inside gets an outer relay address" grep -qE '^relayed 203\.0\.113\.1[012]:' "$LAB/log/probe-inside.log"
check "and the peer's answer" grep -qx "data 100 $PEER:3480" "$LAB/log/probe-inside.log"
at_least "packets of its relay that left by the outer interface" $(($(counted relayed_out) - before)) 1
at_least "packets to it that left by the inner interface, from the address that it asked" "$(counted answered_in)" 3
is "packets astray" "$(counted astray)" 0

probe guest $EDGE_PUBLIC allocations=$((3 * PORTS + 1)) >"$LAB/log/probe-many.log"
is "relays that fit" "$(grep '^relayed' "$LAB/log/probe-many.log" | sort -u | wc -l)" $((3 * PORTS))
is "relays on each address" "$(sed -n 's/^relayed \(.*\):.*/\1/p' "$LAB/log/probe-many.log" | sort | uniq -c | tr -s ' \n' ' ')" \
    " $PORTS 203.0.113.10 $PORTS 203.0.113.11 $PORTS 203.0.113.12 "
is "what the next one is told" "$(tail -n 1 "$LAB/log/probe-many.log")" "error 508"
probe guest $EDGE_PUBLIC allocations=$((3 * PORTS)) >"$LAB/log/probe-again.log"
is "relays that fit once those are given back" "$(grep -c '^relayed' "$LAB/log/probe-again.log")" $((3 * PORTS))
lab_stop edge edge-three

# Static NAT on one of them, by a name of its own.
check "init with a relay address that is translated" init nat ,relay=192.0.2.11=203.0.113.200
edge_run nat
probe guest $EDGE_PUBLIC >"$LAB/log/probe-nat.log"
check "a client is told the public one" grep -q '^relayed 203\.0\.113\.200:' "$LAB/log/probe-nat.log"
lab_stop edge edge-nat
tap_done
