#!/usr/bin/env bash
# 500 WebSockets and 50 requests a second run while something is restarted, cut or killed: only what must break
# breaks. Two bridges write down every request that reaches them; so no GET or HEAD is lost, no POST or PUT comes twice,
# and what a guest was told is what happened. Each disruption prints what broke and how long guests waited.
#
# SOCKETS=100 RATE=20 tests/lab/test_disruptions.sh tunnel_cut core_restarted_by_force : other numbers, some of it.
# Runs alone: it says how long guests wait.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

# shellcheck source=tests/lab/disruptions.sh
. "$ROOT/tests/lab/disruptions.sh"

# The disruptions ----------------------------------------------------------------------------------------------

tunnel_cut() {
    local pid port streams
    begin tunnel
    pid=$(worker_pid core "$CORE" tunnel 0)
    port=$(tunnel_port "$pid")
    streams=$(tunnel_streams 0)
    lab_in fwin nft "add rule inet stile faults tcp dport 2222 tcp sport $port reject with tcp reset; \
        add rule inet stile faults tcp sport 2222 tcp dport $port reject with tcp reset"
    check "tunnel: it is back" wait_for 10 "the tunnel" tunnel_moved "$pid" "$port"
    end
    lab_in fwin nft flush chain inet stile faults
    no_get_lost
    at_least "tunnel: WebSockets that closed were its own ($streams streams ran through it): at least" "$(closed)" 1
    at_most "tunnel: and at most" "$(closed)" "$streams"
}

sshd_killed() {
    begin sshd
    # shellcheck disable=SC2046 # a list of numbers
    kill -KILL $(box_pids edge /usr/sbin/sshd)
    end
    no_get_lost
    is "sshd: WebSockets that closed" "$(closed)" "$SOCKETS"
}

# Stopped as an administrator does, and started again: what is under way is finished first.
core_restarted_gently() { core_restarted TERM; }
core_restarted_by_force() { core_restarted KILL; }

core_restarted() {
    begin "core-$1"
    lab_stop core core "$1"
    core_start
    end
    no_get_lost
    is "core-$1: WebSockets that closed" "$(closed)" "$SOCKETS"
}

# While core is away for long, guests are told so, and at once.
core_away() {
    local page
    begin core-away
    lab_stop core core KILL
    page=$(guest_curl -i "https://$JOIN_HOST/id/away")
    check "core-away: a guest is told by a page" grep -q 'cannot be reached at the moment' <<<"$page"
    is "core-away: its status and when to come again" "$(grep -iE '^HTTP/|^retry-after' <<<"$page" | tr -d '\r' | paste -sd' ')" \
        "HTTP/2 502  retry-after: 5"
    core_start
    end
    is "core-away: WebSockets that closed" "$(closed)" "$SOCKETS"
}

worker_killed() {
    local pid sockets
    begin web-worker
    pid=$(worker_pid edge "$EDGE" web 0)
    sockets=$(edge_status --json | jq '.web[] | select(.uplinks[0].channel == 0) | .open_websockets')
    kill -KILL "$pid"
    end
    is "web-worker: WebSockets that closed were its own" "$(closed)" "$sockets"
    is "web-worker: what was lost was lost with its connection" \
        "$(figure '[.lost[] | select(test("^[A-Z]+ [0-9]"))] | tojson')" "[]"
}

bridge_killed() {
    local pid sockets
    begin bridge-killed
    pid=$(lab_pid bridge nginx-b1)
    sockets=$(lab_in bridge ss -Htn state established "sport = 8090" | wc -l)
    # shellcheck disable=SC2046 # a list of numbers
    kill -KILL "$pid" $(cat "/proc/$pid/task/$pid/children")
    check "bridge-killed: core says Failed, and why" wait_for 10 "the state" target_is b1 failed
    nginx_start b1
    check "bridge-killed: core says Active again" wait_for 10 "the state" target_is b1 active
    end
    no_get_lost
    is "bridge-killed: WebSockets that closed were its own" "$(figure '.ws.byTarget | keys | tojson')" '["b1"]'
}

nothing_stuck() { [ "$(guests stuck)" = 0 ]; }

# It answers nothing any more, and closes nothing: probes find out within 6 s. What it was given and may not be sent twice
# waits for it, up to a minute, and so do its WebSockets.
bridge_blackholed() {
    begin bridge-blackholed
    lab_in bridge nft "add rule inet faults in ip daddr ${ADDRESS[b1]} drop"
    check "bridge-blackholed: core says Failed, and why" wait_for 15 "the state" target_is b1 failed
    check "bridge-blackholed: GET and HEAD go to the other, those that waited too" wait_for 10 "their answers" nothing_stuck
    lab_in bridge nft flush chain inet faults in
    check "bridge-blackholed: core says Active again" wait_for 10 "the state" target_is b1 active
    end
    no_get_lost
}

everything_start
if [ $# -gt 0 ]; then
    for name in "$@"; do $name; done
    tap_done
fi
tunnel_cut
sshd_killed
core_restarted_gently
core_restarted_by_force
core_away
worker_killed
bridge_killed
bridge_blackholed
tap_done
