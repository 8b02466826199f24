#!/usr/bin/env bash
# A million TURN requests from made-up addresses, as fast as this machine sends, while calls go on: the calls lose at most one
# packet in a hundred, and the workers' memory is the same before and after.
#
#    guest ------------- edge ------------- flood
#    198.51.100.10   203.0.113.10       11.0.0.0/8
#    calls and peers  the relay         turn_flood.c, whoever it says it is
# Runs alone: the flood takes all of the machine.
LAB_BOXES="guest edge flood"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

EDGE=$BUILD/stile-edge
FLOOD=${FLOOD:-1000000}
CALLS=20
RATE=50

lab_prepare
for box in $LAB_BOXES; do ip -n "$(lab_ns "$box")" link set lo up; done
link_pair guest net0 edge outer
link_pair flood net0 edge wild
ip -n "$(lab_ns guest)" address add 198.51.100.10/24 dev net0
ip -n "$(lab_ns edge)" address add 198.51.100.1/24 dev outer
ip -n "$(lab_ns edge)" address add 203.0.113.10/32 dev lo
ip -n "$(lab_ns edge)" address add 192.0.2.1/24 dev wild
ip -n "$(lab_ns flood)" address add 192.0.2.2/24 dev net0
for end in guest:net0 edge:outer edge:wild flood:net0; do ip -n "$(lab_ns "${end%:*}")" link set "${end#*:}" up; done
ip -n "$(lab_ns guest)" route add default via 198.51.100.1
ip -n "$(lab_ns edge)" route add 11.0.0.0/8 via 192.0.2.2
for box in $LAB_BOXES; do lab_in "$box" sysctl -qw net.ipv4.conf.all.rp_filter=0; done

printf 'stile-lab-pass\n' >"$LAB/tmp/password"
lab_spawn edge turn "$EDGE" turn --listen 203.0.113.10:3478 --relay-address 203.0.113.10 --realm join.example.com \
    --user "guest:@$LAB/tmp/password" --workers 2 --log-level warning
need 5 "the relay" tcp_open guest 203.0.113.10 3478

# flood COUNT SEED : floods, and says what was sent.
flood() {
    lab_in flood "$BUILD/tests/lab/turn_flood" interface=net0 from=11.0.0.0/8 to=203.0.113.10:3478 count="$1" seed="$2" \
        to_mac="$(lab_in edge cat /sys/class/net/wild/address)"
}
statistics() { grep -h '^{"allocations"' "$LAB/log/edge-turn.log" | tail -n 2; }
two_reports() { [ "$(grep -c '^{"allocations"' "$LAB/log/edge-turn.log")" -ge $((2 * $1)) ]; }
calls_are_up() { grep -q ready "$LAB/log/guest-calls.log"; }
calls_have_ended() { grep -q '^calls' "$LAB/log/guest-calls.log"; }

lab_spawn guest calls "$BUILD/tests/lab/turn_calls" server=203.0.113.10:3478 peer=198.51.100.10 user=guest \
    password=stile-lab-pass realm=join.example.com calls=$CALLS rate=$RATE
need 10 "the calls" calls_are_up
pids=$(box_pids edge "$EDGE")
before=$(box_memory_own edge "$EDGE")
kill -USR1 "$(lab_pid guest calls)"
flood "$FLOOD" 1 | tee "$LAB/log/flood.log"
kill -USR2 "$(lab_pid guest calls)"
need 10 "the calls' report" calls_have_ended
after=$(box_memory_own edge "$EDGE")
kill -USR1 "$(lab_pid edge turn)"
need 5 "the workers' counters" two_reports 1

lost=$(sed -nE 's/^calls .* lost ([0-9]+) .*/\1/p' "$LAB/log/guest-calls.log")
sent=$(sed -nE 's/^calls .* sent ([0-9]+) .*/\1/p' "$LAB/log/guest-calls.log")
grep '^calls' "$LAB/log/guest-calls.log"
statistics | jq -c '.counters | {requests, errors, drops}' | sed 's/^/# /'
is "requests that were sent" "$(sed -n 's/^sent \([0-9]*\) .*/\1/p' "$LAB/log/flood.log")" "$FLOOD"
at_least "packets of the calls during the flood" "$sent" $((CALLS * RATE))
at_most "of these lost, in a thousand" $((sent ? lost * 1000 / sent : 1000)) 10
# What there is: pages behind the first of a packet's place, as packets come to lie across two. It does not grow with the flood.
at_most "KiB that the workers hold more than the $before before" $((after - before)) 128
is "the workers are the same" "$(box_pids edge "$EDGE")" "$pids"
is "allocations beside the calls'" "$(statistics | jq -s "map(.allocations) | add - $CALLS")" 0
tap_done
