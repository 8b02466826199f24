#!/usr/bin/env bash
# Guests go on while others flood the edge, hold its connections, or are slow on purpose: one attack after another,
# mostly from fifty addresses, and the same guests all the time.
# Runs alone: it prints how much longer guests wait while they are not alone.
#
#   tests/lab/test_abuse.sh [ATTACK]...    these instead of the usual ones; `all` for every one of them
#
# Claims are counts: every request is answered, no connection of a guest is lost, no worker dies, memory stays in its
# budget, descriptors come back. What guests waited is printed, beside the seconds just before the attack. No ban helps: they are off.
#
# Attackers bring machines of their own in the field; here they would take the edge's. So they have the lowest priority
# on the processors, as a session of their own. What the kernel does with their packets it does for the edge all the same.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

make -s -C "$ROOT" BUILD="$BUILD" "$BUILD/tests/lab/abuse" || exit 1
ATTACKERS=198.51.100.100
UNDISTURBED_SECONDS=${UNDISTURBED_SECONDS:-3}
SECONDS_EACH=${SECONDS_EACH:-4}

# The edge's memory: docs/benchmarks.md, "Under attack". A build with ASan has red zones, and keeps 256 MiB of what each
# process has freed.
BASE_KIB=65536 CONNECTION_KIB=24 QUEUES_KIB=$(($(nproc) * 262144)) CORE_KIB=262144 FOLD=1 KEPT_KIB=0
! ldd "$BUILD/stile-edge" | grep libasan >/dev/null || FOLD=4 KEPT_KIB=$((6 * 262144))

# The attacks ------------------------------------------------------------------------------------------------------

USUAL="idle handshakes slow-head slow-body slow-read h2-rapid-reset h2-continuation h2-ping"
EVERY="$USUAL slow-body-unbuffered silent hello half-hello half-handshakes garbage records stun proxy renegotiation key-updates h2-made-you-reset h2-empty-continuation
    h2-settings h2-settings-ack h2-empty-data h2-padded-data h2-update h2-priority h2-bomb h2-heads h2-table-size h2-over-the-limit h2-last-number
    h2-no-window h2-slow-read h2-dribble h2-slow-body h2-half-head"

# A slow body goes to Janus, behind nginx, which keeps it until it is whole. slow-body-unbuffered goes to bulk.js, where a
# thousand requests that end at once keep node busy on the processors that the boxes have.
# What has to have happened is said in the attacker's own figures (jq).
launch() { # NAME
    case $1 in
    idle) at_tcp "$1" 5000 3 '.reached == 5000 and .open >= 2500' ;;
    silent | hello | half-hello) at_tcp "$1" 5000 12 '.reached == 5000' ;; # until the edge gives them up
    slow-head) at_http1 "$1" /settings.js -H -i 1 ;;
    slow-body) at_http1 "$1" /janus -B -i 1 -s 100000 ;;
    slow-body-unbuffered) at_http1 "$1" /bulk/sum -B -i 1 -s 100000 ;;
    slow-read) at_http1 "$1" /bulk/file/large -X -w 512 -y 1024 -n 1 -z 32 ;;
    h2-no-window | h2-slow-read | h2-dribble | h2-slow-body | h2-half-head) at_http2 "${1#h2-}" '.opened >= 10' ;;
    h2-*) at_http2 "${1#h2-}" '.opened >= 10 and .bytes > 10000' ;;
    *) at_tcp "$1" 200 "$SECONDS_EACH" '.opened >= 200' ;;
    esac
}
at_tcp() { # KIND CONNECTIONS SECONDS CLAIM
    attack "$1" "$4" "$2" 0 "$BUILD/tests/lab/abuse" "$1" server="$EDGE_PUBLIC" from="$ATTACKERS" addresses=50 connections="$2" seconds="$3"
}
at_http1() { # NAME PATH OPTION...
    local name=$1 path=$2
    shift 2
    attack "$name" '.connected >= 200' 1000 "$QUEUES_KIB" slow_http "$@" -c 1000 -r 100 -l $((SECONDS_EACH + 12)) -p 30 -u "https://$JOIN_HOST$path"
}
at_http2() { # KIND CLAIM
    attack "h2-$1" "$2" 10 "$QUEUES_KIB" node "$ROOT/tests/lab/abuse_h2.js" "$1" "$JOIN_HOST" "$SECONDS_EACH" 10 "$ATTACKERS" 10
}

# slow_http OPTION... : slowhttptest; the most of each figure that it shows, every five seconds, as JSON.
slow_http() {
    slowhttptest "$@" | sed 's/\x1b\[[0-9;]*m//g' |
        awk -F: '/^(initializing|pending|connected|error|closed):/ { gsub(/ /, "", $2); if ($2 + 0 > most[$1] + 0) most[$1] = $2 + 0 }
            END { printf "{\"connected\":%d,\"error\":%d,\"closed\":%d}\n", most["connected"], most["error"], most["closed"] }'
}
export -f slow_http

# The guests ------------------------------------------------------------------------------------------------------

guests_start() {
    mkfifo "$LAB/tmp/phases"
    lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/abuse_guests.js" "$JOIN_HOST" 198.51.100.10 \
        <"$LAB/tmp/phases" >"$LAB/tmp/figures" 2>"$LAB/log/guest-guests.log" &
    exec 7>"$LAB/tmp/phases"
}

# guests_phase NAME : a phase of this name begins; prints the figures of the one before it, once its requests are over.
guests_phase() {
    local lines
    lines=$(wc -l <"$LAB/tmp/figures")
    echo "$1" >&7
    wait_for 30 "the guests' figures" sh -c "[ \$(wc -l <'$LAB/tmp/figures') -gt $lines ]"
    tail -n 1 "$LAB/tmp/figures"
}

# An attack and what it did ---------------------------------------------------------------------------------------

workers() { edge_status --json | jq -c '[.workers[].pid]'; }

# attacker COMMAND... : runs it among the strangers, behind everybody else. An autogroup is what a whole session shares: a new
# one first, the caller's own must stay as it is.
attacker() {
    # shellcheck disable=SC2016 # its own arguments
    lab_in guest setsid -w bash -c 'echo 19 >/proc/self/autogroup; renice -n 19 $$ >/dev/null; ulimit -n 20000; "$@"' - "$@" \
        >"$LAB/tmp/attack" 2>"$LAB/log/guest-attack.log"
}

# attack NAME CLAIM CONNECTIONS QUEUES COMMAND... : the guests notice nothing but that it takes longer. A second more for what the attack leaves behind.
attack() {
    local name=$1 claim=$2 budget=$((FOLD * (BASE_KIB + $3 * CONNECTION_KIB + $4) + KEPT_KIB)) before during edge_kib core_kib
    shift 4
    most_budget=$((budget > most_budget ? budget : most_budget)) # what an attack before this one took may have stayed
    guests_phase undisturbed >/dev/null
    sleep "$UNDISTURBED_SECONDS"
    memory_watch edge edge "$EDGE"
    memory_watch core core "$CORE"
    before=$(guests_phase "$name")
    attacker "$@"
    sleep 1
    during=$(guests_phase rest)
    edge_kib=$(memory_peak edge) core_kib=$(memory_peak core)
    report "$name" "$before" "$during" "$edge_kib" "$core_kib"
    check "$name: it took place" jq -se "last | $claim" "$LAB/tmp/attack"
    is "$name: every request of the guests is answered, no connection lost" "$(jq -c '[.failed, .lost]' <<<"$during")" '[{},0]'
    at_most "$name: the edge's memory, KiB" "$edge_kib" "$most_budget"
    at_most "$name: core's memory, KiB" "$core_kib" $((FOLD * CORE_KIB + KEPT_KIB))
}

report() {
    jq -nr --arg name "$1" --argjson before "$2" --argjson during "$3" --arg edge "$4" --arg core "$5" \
        --arg attack "$(tail -n 1 "$LAB/tmp/attack" | head -c 200)" '
        def beside($kind): "p99 \($before[$kind].p99) -> \($during[$kind].p99) ms (x \($during[$kind].p99 / ([$before[$kind].p99, 0.1] | max) * 100 | round / 100), max \($during[$kind].max))";
        "\($name): \($during.requests) requests: \(beside("latencies")); new connections \(beside("fresh")); echoes \(beside("echoes")); edge \($edge) core \($core) KiB; \($attack)"' |
        tee -a "$LAB/figures.txt" | sed 's/^/# /' >&2
}

descriptors_are_back() { [ "$(box_descriptors edge "$EDGE")" -le "$1" ]; }

# ------------------------------------------------------------------------------------------------------------------

most_budget=0
lab_up
for host in {100..149}; do ip -n "$(lab_ns guest)" address add 198.51.100.$host/24 dev net0; done
# slowhttptest cannot be told its own address; the guests are at theirs.
ip -n "$(lab_ns guest)" route replace default via 198.51.100.1 src $ATTACKERS
# shellcheck disable=SC2119 # its own folder, not what this script was told
lab_ca
lab_dns
bridge_start
head -c 1000000 /dev/zero >"$LAB/bridge/site/large"
pair_init
jq '.bans = {enabled: false}' "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

guests_start
sleep 2
before=$(workers)
descriptors=$(box_descriptors edge "$EDGE")

names=${*:-$USUAL}
[ "$names" != all ] || names=$EVERY
for name in $names; do
    [[ " ${EVERY//$'\n'/ } " = *" $name "* ]] || { echo "Bail out! $name is none of: $EVERY"; exit 2; }
    launch "$name"
done

is "no worker was started again" "$(workers)" "$before"
check "the edge's descriptors are back" wait_for 20 "descriptors, $descriptors before" descriptors_are_back "$descriptors"
diag "descriptors: $descriptors before, $(box_descriptors edge "$EDGE") now; memory now: edge $(box_memory edge "$EDGE") core $(box_memory core "$CORE") KiB"
tap_done
