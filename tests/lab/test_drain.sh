#!/usr/bin/env bash
# Boxes that stop, for an upgrade say: what runs on an edge (a download, a WebSocket, calls) has drain.edge_seconds to end, new
# connections are refused at once, the service manager is told to wait and how far it is; WebSockets still open in the end are
# closed with 1001. Where nothing runs nothing is waited for. Requests on a core that stops are finished.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

CALLS=4 PACKETS=50
DOWNLOAD=$((32 << 20))

# A service manager: writes down what it is told.
manager_start() {
    lab_spawn "$1" manager python3 -uc '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
while True:
    print(s.recv(4096).decode(), flush=True)' "$RUN/notify-$1"
    need 5 "the service manager on $1" test -S "$RUN/notify-$1"
}

told() { grep -qE -- "$2" "$LAB/log/$1-manager.log"; }

drain() {
    jq ".drain = {edge_seconds: $1, core_seconds: $2}" "$RUN/edge/stile.json" >"$LAB/tmp/stile.json"
    cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
    cat "$LAB/tmp/stile.json" >"$RUN/core/stile.json"
}

edge_start() { lab_spawn edge edge env NOTIFY_SOCKET="$RUN/notify-edge" "$EDGE" run --dir "$RUN/edge"; }
core_start() { lab_spawn core core env NOTIFY_SOCKET="$RUN/notify-core" "$CORE" run --dir "$RUN/core"; }

guest_said() { grep -qx -- "$2" "$LAB/log/guest-$1.log"; }
echoed() { grep -c '^echoed' "$LAB/log/guest-websocket.log"; }
more_echoed() { [ "$(echoed)" -gt "$1" ]; }
calls_say() { grep -q "^$1" "$LAB/log/guest-calls.log"; }
refuses() {
    guest_curl -o /dev/null --max-time 2 "https://$JOIN_HOST/" 2>/dev/null
    [ $? = 7 ] # neither silence nor a handshake that is cut
}
gone() { process_gone "$(lab_pid "$1" "$1")"; }

lab_up
lab_ca
lab_dns
bridge_start
pair_init
drain 6 20
manager_start edge
manager_start core
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through
lab_in fwout nft "add rule inet stile to_edge udp dport 24000-29999 accept; insert rule inet stile forward \
    iifname dmz oifname outside ip saddr $EDGE_PUBLIC udp sport 24000-29999 accept"

# What runs ------------------------------------------------------------------------------------------------------

lab_spawn guest websocket env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/drain_guest.js" "wss://$JOIN_HOST/bulk/echo"
lab_spawn guest calls "$BUILD/tests/lab/turn_calls" server=$EDGE_PUBLIC:3478 peer=198.51.100.10 user="$TURN_USER" \
    password="$TURN_PASSWORD" realm="$JOIN_HOST" calls=$CALLS rate=$PACKETS
mkfifo "$LAB/tmp/download"
guest_curl -o "$LAB/tmp/download" -w '%{http_code}' "https://$JOIN_HOST/bulk/data?bytes=$DOWNLOAD" >"$LAB/tmp/code" &
download=$!
exec 9<"$LAB/tmp/download"
head -c 1000000 <&9 >"$LAB/tmp/downloaded"
need 10 "the WebSocket" guest_said websocket open
need 10 "the calls" calls_say ready
kill -USR1 "$(lab_pid guest calls)"

# The edge stops -------------------------------------------------------------------------------------------------

kill -TERM "$(lab_pid edge edge)"
check "new connections are refused, not left waiting" wait_for 3 "the refusal" refuses
before=$(echoed)
check "a WebSocket goes on" wait_for 5 "echoes" more_echoed "$before"
is "a new relay is refused with words that clients know" "$(lab_in guest "$BUILD/tests/lab/turn_probe" \
    server=$EDGE_PUBLIC:3478 user="$TURN_USER" password="$TURN_PASSWORD")" "error 508"
check "the service manager knows that it stops" told edge 'STOPPING=1'
check "and is asked to wait" told edge 'EXTEND_TIMEOUT_USEC=[0-9]+'
check "with what is left" wait_for 5 "the words" told edge \
    "STATUS=Stopping, [0-9]+ s at most: [0-9]+ connections \(1 WebSockets\), $CALLS relays"
cat <&9 >>"$LAB/tmp/downloaded"
wait $download
is "the download comes to its end, whole" "$? $(cat "$LAB/tmp/code") $(stat -c %s "$LAB/tmp/downloaded")" "0 200 $DOWNLOAD"
kill -USR2 "$(lab_pid guest calls)"
need 5 "what became of the calls" calls_say calls
is "calls have lost nothing" "$(sed -nE 's/^calls .* lost ([0-9]+) .*/\1/p' "$LAB/log/guest-calls.log")" 0
refute "with a WebSocket open the edge has not stopped before its time" gone edge
check "it stops when the time is over" wait_for 10 "its end" gone edge
check "and closes the WebSocket with words: going away" wait_for 5 "the close" guest_said websocket "closed 1001"
refute "no echo was wrong" guest_said websocket wrong
check "the event says for how long it drained" grep -q 'event="Edge Stopping" name=edge1 drain_seconds=6' "$LAB/log/edge-edge.log"

# Nothing to wait for, and no patience ---------------------------------------------------------------------------

drain 3600 20
edge_start
need 20 "a request" guest_gets_through
kill -TERM "$(lab_pid edge edge)"
check "an edge on which nothing runs does not wait" wait_for 5 "its end" gone edge
edge_start
need 20 "a request" guest_gets_through
lab_spawn guest again env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/drain_guest.js" "wss://$JOIN_HOST/bulk/echo"
need 10 "the WebSocket" guest_said again open
kill -TERM "$(lab_pid edge edge)"
wait_for 3 "the refusal" refuses
kill -TERM "$(lab_pid edge edge)"
check "asked twice it stops at once" wait_for 5 "its end" gone edge

# Core stops -----------------------------------------------------------------------------------------------------

edge_start
need 20 "a request" guest_gets_through
head -c 5000000 /dev/zero >"$LAB/tmp/body"
guest_curl -T "$LAB/tmp/body" -o "$LAB/tmp/sum" -w '%{http_code}' "https://$JOIN_HOST/bulk/slow?pause=4" >"$LAB/tmp/code" &
upload=$!
running() { core_status --json | jq -e "[.tunnels[].streams] | add >= 1" >/dev/null; }
wait_for 5 "the upload" running
kill -TERM "$(lab_pid core core)"
wait $upload
is "a request that takes its time is finished by a core that stops" "$? $(cat "$LAB/tmp/code") $(awk '{ print $2 }' "$LAB/tmp/sum")" \
    "0 200 5000000"
check "which stops then" wait_for 5 "its end" gone core
check "its service manager was told to wait" told core 'EXTEND_TIMEOUT_USEC=[0-9]+'
check "and what for" told core 'STATUS=Stopping, [0-9]+ s at most: [0-9]+ tunnels with requests'
core_start
check "a new one serves" wait_for 20 "a request" guest_gets_through
tap_done
