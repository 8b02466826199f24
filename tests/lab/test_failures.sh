#!/usr/bin/env bash
# Fifty times something breaks: the connection between the boxes, sshd, a web worker, core, the bridge. Each time guests
# are served again within 2 s of the cause being gone; in between the status says what is wrong; and over all rounds no
# process keeps a descriptor or memory that it did not have after the first.
# Runs alone: it says how long recovery may take.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

lab_up
lab_ca
lab_dns
bridge_start
# Guests shall see at once that something is broken; how they wait until it is mended, test_disruptions.sh looks at.
pair_init
jq '.web_limits.wait_seconds = 0' "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

guest_is_turned_away() { [ "$(guest_curl -o /dev/null -w '%{http_code}' "https://$JOIN_HOST/")" = 502 ]; }

# all_failed LIST : core's status lists some of them (tunnels, targets), all failed, each with a reason in words.
all_failed() {
    core_status --json | jq -e --arg list "$1" '.[$list] | length > 0 and
        all((.state | ascii_downcase) == "failed" and (.reason // "") != "")' >/dev/null
}

# Eight requests, each on a connection of its own: every web worker gets some.
all_are_served() {
    guest_curl -f -o /dev/null --max-time 1 -H 'Connection: close' "https://$JOIN_HOST/bulk/hello?[1-8]"
}

# recovered CAUSE : waits for service and notes how long that took since the cause was gone.
declare -A slowest
gone=0
recovered() {
    local cause=$1 took
    wait_for 30 "service after $cause" all_are_served || return 1
    took=$(($(now_ms) - gone))
    [ "$took" -le "${slowest[$cause]:-0}" ] || slowest[$cause]=$took
}

# The causes. Each breaks, proves that it is broken and that the status says so, mends, and waits for service.

# Requests whose answers core cannot send: its repeated attempts meet the resets.
round_reset() {
    lab_in fwin nft add rule inet stile faults tcp dport 2222 drop
    guest_curl -Z -o /dev/null --max-time 1 "https://$JOIN_HOST/bulk/hello?[1-8]" 2>/dev/null &
    sleep 0.2
    lab_in fwin nft "flush chain inet stile faults; \
        add rule inet stile faults meta l4proto tcp th dport 2222 reject with tcp reset; \
        add rule inet stile faults meta l4proto tcp th sport 2222 reject with tcp reset"
    wait_for 8 "failed tunnels in core's status" all_failed tunnels &&
        wait_for 5 "502 for guests" guest_is_turned_away
    local broken=$?
    lab_in fwin nft flush chain inet stile faults
    gone=$(now_ms)
    recovered reset && [ "$broken" = 0 ]
}

round_silence() {
    lab_in fwin nft "add rule inet stile faults tcp dport 2222 drop; add rule inet stile faults tcp sport 2222 drop"
    wait_for 20 "failed tunnels in core's status" all_failed tunnels &&
        wait_for 5 "502 for guests" guest_is_turned_away
    local broken=$?
    lab_in fwin nft flush chain inet stile faults
    gone=$(now_ms)
    recovered silence && [ "$broken" = 0 ]
}

round_sshd() {
    local pids
    pids=$(box_pids edge /usr/sbin/sshd)
    [ -n "$pids" ] || return 1
    # shellcheck disable=SC2086 # a list of numbers
    kill -KILL $pids
    gone=$(now_ms)
    wait_for 5 "sshd to be replaced" tcp_open core "$EDGE_INNER" 2222 || return 1
    recovered sshd
}

round_worker() {
    local pid
    for pid in $(box_pids edge "$EDGE"); do
        [[ $(tr '\0' ' ' <"/proc/$pid/cmdline") = *"worker web"* ]] || continue
        kill -KILL "$pid"
        gone=$(now_ms)
        recovered worker
        return
    done
    return 1
}

round_core() {
    lab_stop core core
    wait_for 5 "502 for guests" guest_is_turned_away
    local broken=$?
    core_start
    gone=$(now_ms)
    recovered core && [ "$broken" = 0 ]
}

# A request is what tells core first; its own probes would, within seconds.
round_bridge() {
    lab_stop bridge nginx
    wait_for 5 "502 for guests" guest_is_turned_away &&
        wait_for 5 "failed targets in core's status" all_failed targets
    local broken=$?
    # shellcheck disable=SC2046 # the words of a command
    lab_spawn bridge nginx $(bridge_nginx "$LAB/bridge")
    need 5 "the bridge" bridge_answers
    gone=$(now_ms)
    recovered bridge && [ "$broken" = 0 ]
}

# Deaths that the edge has written about.
deaths() { grep -cE 'Worker Crashed|SSH Server Down' "$LAB/log/edge-edge.log"; }

# held BOX : its daemon's descriptors, KiB and processes, once idle connections to the bridge have run out.
held() {
    local program=$EDGE
    [ "$1" = edge ] || program=$CORE
    wait_for 15 "idle connections to end" no_idle_connections
    echo "$(box_descriptors "$1" "$program") $(box_memory "$1" "$program") $(box_pids "$1" "$program" | wc -l)"
}

no_idle_connections() { core_status --json | jq -e '[.tunnels[].egress.pool.idle] | add == 0' >/dev/null; }

# keeps BOX BEFORE AFTER : what is claimed of two looks at it.
keeps() {
    local box=$1 fds kib procs fds2 kib2 procs2
    read -r fds kib procs <<<"$2"
    read -r fds2 kib2 procs2 <<<"$3"
    diag "$box: descriptors, KiB and processes before: $2, after: $3"
    is "$box: processes" "$procs2" "$procs"
    at_most "$box: descriptors more than before" $((fds2 - fds)) 0
    at_most "$box: KiB more than before" $((kib2 - kib)) 1024
}

declare -A well
rounds() {
    local cause
    for cause in "$@"; do
        if "round_$cause"; then well[$cause]=$((${well[$cause]:-0} + 1)); else diag "a round of $cause went wrong"; fi
    done
}

# claims CAUSE COUNT WHAT
claims() {
    is "$3: rounds that went as they should" "${well[$1]:-0}" "$2"
    at_most "$3: milliseconds until guests are served again, at most" "${slowest[$1]:-none}" 2000
}

# The first of each kind is not the first use of the code afterwards. Core is restarted first, so that what it keeps over
# all other rounds can be seen.
rounds reset sshd worker bridge core
edge_before=$(held edge)
CYCLES=9
for ((i = 0; i < CYCLES; i++)); do rounds core; done
core_before=$(held core)
for ((i = 0; i < CYCLES; i++)); do rounds reset sshd worker bridge; done
rounds silence
edge_after=$(held edge)
core_after=$(held core)

claims reset $((CYCLES + 1)) "core's connection reset"
claims silence 1 "core's connection silent"
claims sshd $((CYCLES + 1)) "sshd killed"
claims worker $((CYCLES + 1)) "a web worker killed"
claims bridge $((CYCLES + 1)) "the bridge stopped"
claims core $((CYCLES + 1)) "core restarted"
at_least "deaths that the edge's log tells of" "$(deaths)" $((2 * (CYCLES + 1)))
keeps edge "$edge_before" "$edge_after"
keeps core "$core_before" "$core_after"
is "processes that nobody waited for" \
    "$(ps -o stat=,pid= -p "$(ip netns pids "$(lab_ns edge)" | paste -sd,)" | grep -c '^Z')" 0
tap_done
