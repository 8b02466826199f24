#!/usr/bin/env bash
# Coturn's client against the stand-alone relay: 50 clients at once over UDP and over TCP, with channels and with Send
# indications, between two relays and to a peer that echoes, with a user's password and with ephemeral credentials.
# Nothing may be lost.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

ECHO_PEER=192.0.2.1
CLIENTS=50
MESSAGES=40

lab_up
pair_install
lab_spawn edge turn "$EDGE" turn --listen "$EDGE_PUBLIC:3478" --relay-address "$EDGE_PUBLIC" \
    --user "$TURN_USER:$TURN_PASSWORD" --shared-secret north --shared-secret south --realm "$JOIN_HOST" \
    --relay-ports 24000-29999 --workers 2 --allow-peer "$ECHO_PEER/32" --channel-numbers rfc5766
lab_spawn fwin peer turnutils_peer -L "$ECHO_PEER" -p 3480
need 5 "the relay" tcp_open guest "$EDGE_PUBLIC" 3478
need 5 "the echoing peer" lab_in fwin sh -c "ss -Hlnu src $ECHO_PEER | grep -q :3480"

# client NAME OPTION... : one run of the client; its last words go to NAME.out.
client() {
    local name=$1
    shift
    lab_in guest timeout 60 turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -m $CLIENTS -n $MESSAGES -l 200 \
        "$@" "$EDGE_PUBLIC" >"$LAB/log/guest-client-$name.log" 2>&1
    echo $? >"$LAB/tmp/$name.status"
}

# claims NAME WHAT : what is claimed of a run.
claims() {
    local log=$LAB/log/guest-client-$1.log
    is "$2: the client ends well" "$(cat "$LAB/tmp/$1.status")" 0
    is "$2: packets lost" "$(grep -o 'Total lost packets.*' "$log")" \
        "Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)"
    at_least "$2: messages that came back" "$(sed -n 's/.*tot_recv_msgs=\([0-9]*\)$/\1/p' "$log" | tail -n 1)" \
        $((CLIENTS * MESSAGES))
}

# Two at a time, for most of a run is the client's own waiting.
client udp-relays -y &
client tcp-relays -t -y &
wait
client udp-peer -e $ECHO_PEER &
client tcp-peer -t -e $ECHO_PEER &
wait
client udp-send -s -e $ECHO_PEER &
client tcp-send -t -s -y &
wait

# With credentials that end, which the client makes of a secret: the second one of the relay.
client udp-secret -W south -e $ECHO_PEER &
client tcp-secret -W north -t -y &
wait

claims udp-relays "udp, channels, relay to relay"
claims tcp-relays "tcp, channels, relay to relay"
claims udp-peer "udp, channels, to a peer"
claims tcp-peer "tcp, channels, to a peer"
claims udp-send "udp, Send indications, to a peer"
claims tcp-send "tcp, Send indications, relay to relay"
claims udp-secret "udp, ephemeral credentials, to a peer"
claims tcp-secret "tcp, ephemeral credentials, relay to relay"

lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -W west -m 1 -n 1 -e $ECHO_PEER "$EDGE_PUBLIC" \
    >"$LAB/log/guest-secret.log" 2>&1
check "a secret that is none gets no relay" grep -q 'Cannot complete Allocation' "$LAB/log/guest-secret.log"
lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -w wrong -m 1 -n 1 -e $ECHO_PEER "$EDGE_PUBLIC" \
    >"$LAB/log/guest-wrong.log" 2>&1
check "a wrong password gets no relay" grep -q 'Cannot complete Allocation' "$LAB/log/guest-wrong.log"
lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -m 1 -n 1 -e 10.20.0.10 "$EDGE_PUBLIC" \
    >"$LAB/log/guest-peer.log" 2>&1
check "a peer that is not allowed is refused with 403" grep -q 'error 403' "$LAB/log/guest-peer.log"
check "and nothing was sent there" no_drops
tap_done
