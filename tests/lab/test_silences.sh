#!/usr/bin/env bash
# Something falls silent under load, without closing a thing: one of two tunnels, core as a whole, the address that core
# had. It is found out, what can be saved is, and nothing reaches a bridge twice that must not.
#
# SOCKETS=100 RATE=20 tests/lab/test_silences.sh tunnel_silent : other numbers, some of it.
SOCKETS=${SOCKETS:-100}
RATE=${RATE:-20}
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"
# shellcheck source=tests/lab/disruptions.sh
. "$ROOT/tests/lab/disruptions.sh"

tunnel_silent() {
    local pid port streams
    begin tunnel-silent
    pid=$(worker_pid core "$CORE" tunnel 0)
    port=$(tunnel_port "$pid")
    streams=$(tunnel_streams 0)
    lab_in fwin nft "add rule inet stile faults tcp dport 2222 tcp sport $port drop; \
        add rule inet stile faults tcp sport 2222 tcp dport $port drop"
    check "tunnel-silent: found out, and dialled anew" wait_for 25 "the tunnel" tunnel_moved "$pid" "$port"
    end
    lab_in fwin nft flush chain inet stile faults
    no_get_lost
    at_least "tunnel-silent: WebSockets that closed were its own ($streams streams ran through it): at least" "$(closed)" 1
    at_most "tunnel-silent: and at most" "$(closed)" "$streams"
}

no_uplinks() { ! uplinks_active 1; }

core_suspended() {
    local pids
    begin core-suspended
    pids=$(box_pids core "$CORE")
    # shellcheck disable=SC2086 # a list of numbers
    kill -STOP $pids
    check "core-suspended: the edge finds out" wait_for 25 "the end of the tunnels" no_uplinks
    check "core-suspended: a guest is told" wait_for 10 "502" guest_is_turned_away
    # shellcheck disable=SC2086
    kill -CONT $pids
    check "core-suspended: then guests are served" wait_for 10 "service" guest_gets_through
    end
    is "core-suspended: WebSockets that closed" "$(closed)" "$SOCKETS"
}

guest_is_turned_away() { [ "$(guest_curl -o /dev/null -w '%{http_code}' "https://$JOIN_HOST/id/away")" = 502 ]; }

core_moved() {
    begin core-moved
    lab_in fwin nft "add rule inet stile faults ip saddr 10.20.0.11 tcp dport 2222 accept"
    ip -n "$(lab_ns core)" address del "$CORE_ADDRESS/24" dev net0
    ip -n "$(lab_ns core)" address add 10.20.0.11/24 dev net0
    ip -n "$(lab_ns core)" route replace default via 10.20.0.1
    check "core-moved: it dials from its new address" wait_for 30 "the tunnels" dialled_from 10.20.0.11
    end
    is "core-moved: WebSockets that closed" "$(closed)" "$SOCKETS"
}

dialled_from() { [ "$(lab_in edge ss -Htn state established "sport = 2222" | grep -c "$1")" = 2 ] && uplinks_active 2; }

everything_start
if [ $# -gt 0 ]; then
    for name in "$@"; do $name; done
    tap_done
fi
tunnel_silent
core_suspended
core_moved
tap_done
