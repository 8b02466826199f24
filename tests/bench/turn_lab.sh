# shellcheck shell=bash
# The name spaces and the relays of the TURN benchmarks; sourced by tests/bench/turn_relay and tests/bench/turn_alloc.
#
#   clients                relays (pinned to the last processor)        peer
#   198.51.100.2   ──veth── 198.51.100.1     203.0.113.1  ──veth── 203.0.113.2
#   198.18.0.0/16            .11 bare         .11
#                            .12 stile        .12
#                            .13 coturn       .13
#
# The box in the middle routes too: the way without a relay.
# shellcheck disable=SC2154 # build is what sources this has set
LAB=stilebench$$
PEER=203.0.113.2:3480
work=$(mktemp -d /tmp/stile-bench.XXXXXX)
declare -A pid=()
last=$(($(nproc) - 1))

finish() {
    local p n
    for p in "${pid[@]}"; do kill "$p" 2> /dev/null || true; done
    wait 2> /dev/null || true
    for n in c s p; do ip netns del $LAB-$n 2> /dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

fail() {
    echo "bench: $*" >&2
    exit 1
}

lab_up() {
    local n i
    [ "$(id -u)" = 0 ] || fail 'network namespaces take root'
    for n in c s p; do
        ip netns add $LAB-$n
        ip -n $LAB-$n link set lo up
        ip netns exec $LAB-$n sysctl -qw net.ipv4.ip_local_port_range='10000 65000'
    done
    ip link add c0 netns $LAB-c type veth peer name s0 netns $LAB-s
    ip link add p0 netns $LAB-p type veth peer name s1 netns $LAB-s
    lab_address c c0 198.51.100.2
    lab_address s s0 198.51.100.1
    lab_address s s1 203.0.113.1
    lab_address p p0 203.0.113.2
    for i in 11 12 13; do
        lab_address s s0 198.51.100.$i
        lab_address s s1 203.0.113.$i
    done
    ip -n $LAB-c link set c0 up
    ip -n $LAB-s link set s0 up
    ip -n $LAB-s link set s1 up
    ip -n $LAB-p link set p0 up
    ip -n $LAB-c route add default via 198.51.100.1
    ip -n $LAB-c route add local 198.18.0.0/16 dev lo
    ip -n $LAB-s route add 198.18.0.0/16 via 198.51.100.2
    ip -n $LAB-p route add default via 203.0.113.1
    ip netns exec $LAB-s sysctl -qw net.ipv4.ip_forward=1
}
lab_address() { ip -n $LAB-"$1" addr add "$3"/24 dev "$2"; }

# start NAME COMMAND...: a relay, on its processor (CPUS), its output in a file.
start() {
    local name=$1
    shift
    ip netns exec $LAB-s taskset -c "${CPUS:-$last}" "$@" > "$work/$name.log" 2>&1 &
    pid[$name]=$!
}
stop() {
    kill "${pid[$1]}" 2> /dev/null || true
    wait "${pid[$1]}" 2> /dev/null || true
    unset "pid[$1]"
}
# start_bare, start_stile [OPTION...], start_coturn [OPTION...]: each serves 198.51.100.N:3478.
start_bare() { start bare "$build/bench/turn_bare" 198.51.100.11:3478 203.0.113.11 $PEER; wait_bound bare 11; }
start_stile() {
    start stile "$build/stile-edge" turn --listen 198.51.100.12:3478 --relay-address 203.0.113.12 --realm r --user u:p \
        --workers 1 --log-level warning "$@"
    wait_bound stile 12
}
# Debian's coturn, logging to nowhere; -m: as many relay threads as Stile has workers.
start_coturn() {
    start coturn turnserver -n --no-tls --no-dtls --no-cli -L 198.51.100.13 -E 203.0.113.13 -m 1 -a -r r -u u:p \
        --log-file /dev/null --pidfile "$work/coturn.pid" "$@"
    wait_bound coturn 13
}
wait_bound() {
    local i
    for i in $(seq 200); do
        ip netns exec $LAB-s ss -Hlun "src 198.51.100.$2:3478" | grep -q . && return
        sleep 0.05
    done
    cat "$work/$1.log" >&2
    fail "$1 did not come up"
}
# The processes whose time and memory count, with commas: the worker of Stile, everything of the others.
pids_of() {
    if [ "$1" = stile ]; then pgrep -d, -P "${pid[stile]}"; else echo "${pid[$1]}"; fi
}
server_of() { case $1 in bare) echo 198.51.100.11:3478 ;; stile) echo 198.51.100.12:3478 ;; coturn) echo 198.51.100.13:3478 ;; direct) echo $PEER ;; esac; }

# field NAME FILE: its values, one a line.
field() { sed -n "s/.*\b$1=\([0-9.e+-]*\).*/\1/p" "$2"; }
median() { field "$1" "$2" | sort -g | awk '{v[NR] = $1} END {if (NR == 0) exit 1; print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
