#!/usr/bin/env bash
# Bandwidth per user: coturn's client floods as alice, who is held to what she may have, while bob loses nothing. The
# edge's own counts, events and figures agree.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

ECHO_PEER=192.0.2.1
KBPS=800 # of each user, in each direction
BURST=$((KBPS * 125 / 2))

lab_up
pair_install
lab_spawn edge turn "$EDGE" turn --listen "$EDGE_PUBLIC:3478" --relay-address "$EDGE_PUBLIC" \
    --user alice:apple --user bob:banana --realm "$JOIN_HOST" --relay-ports 24000-29999 --workers 2 \
    --allow-peer "$ECHO_PEER/32" --channel-numbers rfc5766 --user-kbps $KBPS --user-quota 20
lab_spawn fwin peer turnutils_peer -L "$ECHO_PEER" -p 3480
need 5 "the relay" tcp_open guest "$EDGE_PUBLIC" 3478
need 5 "the echoing peer" lab_in fwin sh -c "ss -Hlnu src $ECHO_PEER | grep -q :3480"

EVENTS=$LAB/log/edge-turn.log

# client NAME PASSWORD OPTION... : one run of the client; its last words go to the log.
client() {
    local name=$1 password=$2
    shift 2
    lab_in guest timeout 60 turnutils_uclient -u "$name" -w "$password" -c -e $ECHO_PEER "$@" "$EDGE_PUBLIC" \
        >"$LAB/log/guest-client-$name.log" 2>&1
}

# ended USER FIELD : the sum of a field over the relays of a user that are gone.
ended() {
    sed -nE "/event=\"Relay (Deleted|Expired|Disconnected)\".*user=\"$1\"/s/.* $2=([0-9]+).*/\1/p" "$EVENTS" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

relays_gone() { [ "$(grep -c 'event="Relay Allocated"' "$EVENTS")" = "$(grep -cE 'event="Relay (Deleted|Expired|Disconnected)"' "$EVENTS")" ]; }

before=$(now_ms)
client alice apple -m 10 -n 500 -l 1000 -z 1 &
client bob banana -m 1 -n 200 -l 200 -z 20
wait
# Those that were not given back end with the server.
lab_stop edge turn
passed=$(($(now_ms) - before))

check "every relay's end is told" relays_gone
most=$((KBPS * 125 * passed / 1000 + 2 * BURST))
at_most "bytes that alice relayed in $passed ms, of 5000000 she sent" "$(ended alice bytes_from_client)" $most
at_least "bytes that alice relayed: what she may" "$(ended alice bytes_from_client)" $BURST
at_least "packets of alice that were dropped" "$(ended alice dropped)" 2000
is "packets of bob that were dropped" "$(ended bob dropped)" 0
at_least "bytes that came back to bob" "$(ended bob bytes_to_client)" $((200 * 200))
is "bob's client lost nothing" "$(grep -o 'Total lost packets [0-9]*' "$LAB/log/guest-client-bob.log")" "Total lost packets 0"
refute "alice's client did" grep -q 'Total lost packets 0 ' "$LAB/log/guest-client-alice.log"
tap_done
