#!/usr/bin/env bash
# A guest's echo call through both boxes in a real browser, all media through TURN, over UDP and then over TCP: picture
# comes back, signalling runs through the tunnel, and the firewalls see no flow that is not in the plan.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

field() { jq -r "$2" "$LAB/$1.json"; }

# call_over TRANSPORT : one call and everything that is claimed of it.
call_over() {
    local name=call-$1 signals signals_before
    signals_before=$(grep -c 'GET /janus-ws' "$LAB/bridge/log/nginx-access.log")
    check "the call over $1 comes up" guest_call "$1" "$name"
    at_most "$1: milliseconds of ICE checks until connected" "$(field "$name" .connectMs)" 3000
    at_least "$1: video frames decoded in 5 s" "$(field "$name" .framesDecoded)" 50
    at_least "$1: audio packets in 5 s" "$(field "$name" .audioPackets)" 100
    is "$1: the selected candidate is a relay" "$(field "$name" .stats.pair.localType)" relay
    is "$1: the relay is reached over $1" "$(field "$name" .stats.pair.relayProtocol)" "$1"
    is "$1: the relayed address is the edge's" "$(field "$name" .stats.pair.localAddress)" "$EDGE_PUBLIC"
    is "$1: the far end is the bridge" "$(field "$name" .stats.pair.remoteAddress)" "$BRIDGE_ADDRESS"
    is "$1: signalling went to the join host" "$(field "$name" '.websockets | join(" ")')" "wss://$JOIN_HOST/janus-ws"
    signals=$(grep 'GET /janus-ws' "$LAB/bridge/log/nginx-access.log" | tail -n +$((signals_before + 1)))
    check "$1: signalling reached the bridge from core" grep -qE "^($CORE_ADDRESS|$CORE_ADDRESS6) " <<<"$signals"
    check "$1: no flow that is not in the plan" no_drops
    at_most "$1: relay packets before the bridge's first" "$(fw_counter fwin early_media)" 100
}

call_over udp
is "nothing used TURN over TCP" "$(fw_counter fwout guest_turn_tcp)" 0
call_over tcp
at_least "TURN over TCP was used" "$(fw_counter fwout guest_turn_tcp)" 1
at_least "flows from the bridge to relays" "$(fw_counter fwin bridge_media)" 2
at_least "core dialled the edge" "$(fw_counter fwin core_ssh)" 1

# web_counter NAME : of all web workers of the edge.
web_counter() { edge_status --json | jq "[.web[].$1] | add"; }
at_least "the browser spoke HTTP/2" "$(web_counter http2_connections)" 2
at_least "its signalling ran over HTTP/2 (RFC 8441)" "$(web_counter http2_websockets)" 2

check "a guest reaches the bridge's HTTP API" guest_curl -f "https://$JOIN_HOST/janus/info"
check "over IPv6 as well" guest_curl -6 -f "https://$JOIN_HOST/janus/info"
is "port 80 sends guests to HTTPS" \
    "$(guest_curl -o /dev/null -w '%{http_code} %{redirect_url}' "http://$JOIN_HOST/a?b")" "301 https://$JOIN_HOST/a?b"
check "still no flow that is not in the plan" no_drops
tap_done
