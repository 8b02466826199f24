#!/usr/bin/env bash
# Calls of real browsers through TURN over TCP and TLS on 443, beside the HTTPS of the same call, and over TLS on 5349; then
# behind a firewall that lets nothing but tcp 443 out, with all the servers that a page would name.
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

relays() { edge_status --json | jq "$1"; }

# How many relays there have been over a transport: counted when the call is over.
payload_over() { relays "[.turn[].counters.from_clients[\"$1\"].packets] | add"; }

# call_over NAME URL RELAY-PROTOCOL TRANSPORT : one call and what is claimed of it. RELAY-PROTOCOL as the browser calls it.
call_over() {
    local name=call-$1 before
    before=$(payload_over "$4")
    check "$1: the call comes up" guest_call "" "$name" "$2"
    at_least "$1: video frames decoded in 5 s" "$(field "$name" .framesDecoded)" 50
    is "$1: the selected candidate is a relay" "$(field "$name" .stats.pair.localType)" relay
    is "$1: the relay is reached over $3" "$(field "$name" .stats.pair.relayProtocol)" "$3"
    is "$1: the far end is the bridge" "$(field "$name" .stats.pair.remoteAddress)" "$BRIDGE_ADDRESS"
    at_least "$1: packets that the edge took from it over $4" "$(($(payload_over "$4") - before))" 100
    check "$1: no flow that is not in the plan" no_drops
}

call_over tcp-443 "turn:$JOIN_HOST:443?transport=tcp" tcp TCP
call_over tls-443 "turns:$JOIN_HOST:443?transport=tcp" tls TLS
is "nothing but 443 was used" \
    "$(fw_counter fwout guest_turn_udp) $(fw_counter fwout guest_turn_tcp) $(fw_counter fwout guest_turn_tls)" "0 0 0"
call_over tls-5349 "turns:$JOIN_HOST:5349?transport=tcp" tls TLS
at_least "TURN over TLS was used on 5349" "$(fw_counter fwout guest_turn_tls)" 1

# The client that status shows is the guest, not the web worker.
guest_call "" call-seen "turns:$JOIN_HOST:443?transport=tcp" &
seen() {
    relays '.relays[] | select(.protocol == "TLS" and (.client | startswith("[2001:db8:a::10]:") or startswith("198.51.100.10:"))
        and (.server == "[2001:db8:b::10]:443" or .server == "203.0.113.10:443")) | .client' | grep . >/dev/null
}
check "status shows the relay of a guest on 443 with the guest's address" wait_for 20 "the relay in status" seen
wait

# Only tcp 443 gets through, and everything else is answered by silence, as such firewalls do.
lab_in fwout nft -f - <<'END'
flush chain inet stile to_edge
add rule inet stile to_edge tcp dport 443 ct state new counter name guest_https accept
add rule inet stile to_edge drop
END
all="turn:$JOIN_HOST:3478,turn:$JOIN_HOST:3478?transport=tcp,turns:$JOIN_HOST:5349?transport=tcp"
all="$all,turns:$JOIN_HOST:443?transport=tcp"
check "with only tcp 443 open the call comes up" guest_call "" call-only-443 "$all"
at_least "video frames decoded in 5 s" "$(field call-only-443 .framesDecoded)" 50
is "through TLS" "$(field call-only-443 .stats.pair.relayProtocol)" tls
check "a guest's request goes through, too" guest_gets_through
tap_done
