#!/usr/bin/env bash
# A relay that has no room sends clients to a second one (300, ALTERNATE-SERVER): coturn's client goes there, and its packets
# come back, over UDP and over TCP.
#
#    guest ------------------- edge      203.0.113.10: a relay whose only port another program has
#    198.51.100.10             .1        203.0.113.11: the one that it sends the others to
LAB_BOXES="guest edge"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"

EDGE=$BUILD/stile-edge
FIRST=203.0.113.10 SECOND=203.0.113.11
CLIENTS=6 MESSAGES=20

lab_prepare
for box in $LAB_BOXES; do ip -n "$(lab_ns "$box")" link set lo up; done
link_pair guest net0 edge net0
ip -n "$(lab_ns guest)" address add 198.51.100.10/24 dev net0
ip -n "$(lab_ns edge)" address add 198.51.100.1/24 dev net0
for address in $FIRST $SECOND; do ip -n "$(lab_ns edge)" address add $address/32 dev lo; done
for box in $LAB_BOXES; do ip -n "$(lab_ns "$box")" link set net0 up; done
ip -n "$(lab_ns guest)" route add default via 198.51.100.1

printf 'apple\n' >"$LAB/tmp/password"
relay() {
    local name=$1 address=$2
    shift 2
    lab_spawn edge "$name" "$EDGE" turn --listen "$address:3478" --relay-address "$address" --realm example.org \
        --user "alice:@$LAB/tmp/password" --workers 1 --channel-numbers rfc5766 "$@"
    need 5 "the relay on $address" tcp_open guest "$address" 3478
}
lab_spawn edge port turnutils_peer -L $FIRST -p 24000
need 5 "the one that has the port" lab_in edge sh -c "ss -Hlnu src $FIRST | grep -q :24000"
relay first $FIRST --relay-ports 24000-24000 --alternate-server "$SECOND:3478"
relay second $SECOND

allocated() { grep -c 'event="Relay Allocated"' "$LAB/log/edge-$1.log"; }

# call NAME OPTION... : clients that send each other packets, through whichever relay they are given.
call() {
    local name=$1
    shift
    lab_in guest timeout 60 turnutils_uclient -u alice -w apple -m $CLIENTS -n $MESSAGES -l 200 -y -c "$@" $FIRST \
        >"$LAB/log/guest-$name.log" 2>&1
    is "$name: the client ends well" $? 0
    is "$name: packets lost" "$(grep -o 'Total lost packets [0-9]*' "$LAB/log/guest-$name.log")" "Total lost packets 0"
    at_least "$name: messages that came back" "$(sed -n 's/.*tot_recv_msgs=\([0-9]*\)$/\1/p' "$LAB/log/guest-$name.log" | tail -n 1)" \
        $((CLIENTS * MESSAGES))
}

call UDP
before=$(allocated second)
at_least "relays of the second server" "$before" $CLIENTS
call TCP -t
at_least "relays of the second server for clients on TCP" $(($(allocated second) - before)) $CLIENTS
is "relays of the first" "$(allocated first)" 0
check "the first one says why" grep -q 'event="Relay Refused".* error=300' "$LAB/log/edge-first.log"
tap_done
