#!/usr/bin/env bash
# Calls between clients of one edge behind static NAT: their relays are known by the public address, which no machine in
# this lab has, so every packet must stay in the edge: within one worker, and from worker to worker.
#
#    guest ------------------- edge      relays bound to 10.0.0.36, advertised as 203.0.113.10, and
#    198.51.100.10             10.0.0.36 bound to and advertised as 2001:db8:b::36
#    2001:db8:b::10            2001:db8:b::36
LAB_BOXES="guest edge"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

EDGE=$BUILD/stile-edge
PUBLIC=203.0.113.10

lab_prepare
for box in $LAB_BOXES; do
    lab_in "$box" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    ip -n "$(lab_ns "$box")" link set lo up
done
link_pair guest net0 edge net0
link_address guest net0 198.51.100.10/24 2001:db8:b::10/64
link_address edge net0 10.0.0.36/24 2001:db8:b::36/64
ip -n "$(lab_ns guest)" route add 10.0.0.36 dev net0
ip -n "$(lab_ns edge)" route add 198.51.100.10 dev net0
lab_in edge nft -f - <<END
table inet lab {
    counter astray { }
    chain out { type filter hook output priority 0; ip daddr $PUBLIC counter name astray drop; }
}
END

printf 'apple\n' >"$LAB/tmp/password"
lab_spawn edge turn "$EDGE" turn --listen 10.0.0.36:3478 --listen "[2001:db8:b::36]:3478" \
    --relay-address 10.0.0.36,public=$PUBLIC --relay-address 2001:db8:b::36 --realm example.org \
    --user "alice:@$LAB/tmp/password" --workers 3 --channel-numbers rfc5766 --log-level warning
need 5 "the relay" tcp_open guest 10.0.0.36 3478

# client NAME OPTION... ADDRESS : 24 clients that send each other packets through their relays.
client() {
    local name=$1
    shift
    lab_in guest timeout 50 turnutils_uclient -u alice -w apple -m 24 -n 20 -l 200 -y "$@" >"$LAB/log/guest-$name.log" 2>&1
    echo $? >"$LAB/tmp/$name.status"
}

claims() {
    is "$2: the client ends well" "$(cat "$LAB/tmp/$1.status")" 0
    is "$2: packets lost" "$(grep -o 'Total lost packets.*' "$LAB/log/guest-$1.log")" \
        "Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)"
}

client udp 10.0.0.36 &
client send -s 10.0.0.36 &
client tcp -t 10.0.0.36 &
client six -x 2001:db8:b::36 &
wait
claims udp "udp, channels"
claims send "udp, Send indications"
claims tcp "tcp, channels"
claims six "IPv6"
is "packets sent towards the public address" \
    "$(lab_in edge nft -j list counter inet lab astray | jq '.nftables[] | .counter? // empty | .packets')" 0

# What the workers counted: some packets stayed in their worker, others went through the kernel to another one.
statistics() { grep -h '^{"allocations"' "$LAB/log/edge-turn.log"; }
three_reports() { [ "$(statistics | wc -l)" = 3 ]; }
kill -USR1 "$(lab_pid edge turn)"
need 5 "the workers' counters" three_reports
at_least "packets that went across within a worker" "$(statistics | jq -s 'map(.counters.events.hairpin) | add')" 100
at_least "workers that had allocations" "$(statistics | jq -s 'map(select(.counters.events.allocated > 0)) | length')" 2
# The client leaves some allocations behind that it never used, to try the server; those run out by themselves.
is "allocations left that were in use" \
    "$(statistics | jq -s '[.[].relays[] | select(.from_client.packets > 0)] | length')" 0
# Started by root, it reads strangers' packets as somebody else.
process=$(awk '/^(Uid|CapPrm|NoNewPrivs):/ { print $2 }' "/proc/$(box_pids edge "$EDGE" | tail -n 1)/status" | xargs)
is "what a worker may do" "$process" "$(id -u stile 2>/dev/null || id -u nobody) 0000000000000000 1"
refute "the password is not in the process list" sh -c "tr '\0' ' ' </proc/$(lab_pid edge turn)/cmdline | grep -q apple"

lab_stop edge turn
refute "it stopped without a word" grep -q 'Worker Died' "$LAB/log/edge-turn.log"
tap_done
