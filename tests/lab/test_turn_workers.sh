#!/usr/bin/env bash
# A TURN worker is killed while calls go on in all of them: the others' calls lose nothing, and whoever lost his call
# allocates again at once, on the ports that the dead worker had, for there are no others.
#
#    guest ------------------- edge      (core: for init alone, no cable)
#    198.51.100.10         203.0.113.10
LAB_BOXES="guest edge core"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

CALLS=24
FIRST_PORT=24000

lab_prepare
for box in guest edge; do
    lab_in "$box" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    ip -n "$(lab_ns "$box")" link set lo up
done
link_pair guest net0 edge outer
link_address guest net0 198.51.100.10/24 2001:db8:a::10/64
link_address edge outer 198.51.100.1/24 2001:db8:a::1/64
ip -n "$(lab_ns edge)" address add $EDGE_PUBLIC/32 dev lo
ip -n "$(lab_ns edge)" address add $EDGE_INNER/32 dev lo
ip -n "$(lab_ns guest)" route add default via 198.51.100.1

lab_ca
pair_init
jq ".turn.relay_ports = [$FIRST_PORT, $((FIRST_PORT + CALLS - 1))] | .edges[0].turn_workers = 3" "$RUN/edge/stile.json" >"$LAB/tmp/stile.json"
cp "$LAB/tmp/stile.json" "$RUN/edge/stile.json"
edge_start
need 10 "the edge" tcp_open guest $EDGE_PUBLIC 3478

turn_workers() {
    local pid
    for pid in $(box_pids edge "$EDGE"); do
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep 'worker turn' >/dev/null && echo "$pid"
    done
}
is_back() { [ "$(turn_workers | wc -l)" = "$workers" ]; }
calls_say() { grep -q "^$1" "$LAB/log/guest-calls.log"; }
said() { sed -nE "s/^calls .* $1 ([0-9]+).*/\1/p" "$LAB/log/guest-calls.log"; }

workers=$(turn_workers | wc -l)
is "TURN workers" "$workers" 3
lab_spawn guest calls "$BUILD/tests/lab/turn_calls" server=$EDGE_PUBLIC:3478 peer=198.51.100.10 user="$TURN_USER" \
    password="$TURN_PASSWORD" realm="$JOIN_HOST" calls=$CALLS rate=50 again=1
need 10 "the calls" calls_say ready
lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -m 1 -n 1 -y $EDGE_PUBLIC >"$LAB/log/guest-full.log" 2>&1
check "all ports are in use" grep -q 'error 508' "$LAB/log/guest-full.log"

victim=$(turn_workers | head -n 1)
kill -USR1 "$(lab_pid guest calls)"
kill -KILL "$victim"
check "the worker is replaced" wait_for 10 "the new worker" is_back
packets() { lab_in edge cat /proc/net/snmp | awk '/^Udp:/ && $2 ~ /^[0-9]/ { print $2 }'; }
some_more() { [ "$(packets)" -ge $((from + CALLS * 50)) ]; }
from=$(packets)
need 10 "half a second of media" some_more
kill -USR2 "$(lab_pid guest calls)"
need 20 "what became of the calls" calls_say again

silent=$(said silent)
at_least "calls that died with their worker" "$silent" 1
at_most "of $CALLS" "$silent" $((CALLS - 1))
is "packets that the other workers' calls lost" "$(said harmed)" 0
is "of the dead calls, up again on the same ports" "$(sed -n 's/^again //p' "$LAB/log/guest-calls.log")" "$silent"
check "the event is told" grep -q "Worker Crashed.*turn" "$LAB/log/edge-edge.log"
tap_done
