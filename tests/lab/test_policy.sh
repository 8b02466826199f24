#!/usr/bin/env bash
# What guests may ask for, and what the status commands say: requests that no rule allows are refused at the edge with the
# status and the event that name the reason; both boxes show tunnels, targets, allow list and relays as they are.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# answer OPTION... : the status that a guest gets.
answer() { guest_curl -k -o /dev/null -w '%{http_code}' "$@"; }

# event TEXT : the edge has written so.
event() { grep -qF "$1" "$LAB/log/edge-edge.log"; }

before=$(wc -l <"$LAB/bridge/log/nginx-access.log")
is "PATCH is refused" "$(answer -X PATCH "https://$JOIN_HOST/")" 403
check "the event says which rule lacked it" event 'no rule allows method PATCH'
is "TRACE is refused" "$(answer -X TRACE "https://$JOIN_HOST/")" 403
is "another host is refused" \
    "$(answer --resolve "other.example.com:443:$EDGE_PUBLIC" https://other.example.com/)" 421
check "the event says so" event 'no rule is for host other.example.com'
is "a Host that is not the one of the handshake is refused" \
    "$(answer -H 'Host: other.example.com' "https://$JOIN_HOST/")" 421
is "a path that climbs out is refused" "$(answer --path-as-is "https://$JOIN_HOST/../etc/passwd")" 400
is "a WebSocket to another host is refused" "$(answer --http1.1 -H 'Host: other.example.com' -H 'Upgrade: websocket' \
    -H 'Connection: Upgrade' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' \
    "https://$JOIN_HOST/janus-ws")" 421
# Core's own probes are HEAD.
is "none of it reached the bridge" "$(tail -n +$((before + 1)) "$LAB/bridge/log/nginx-access.log" | grep -v '"HEAD / ')" ""
for method in GET POST PUT DELETE; do
    is "$method passes" "$(answer -X $method "https://$JOIN_HOST/bulk/hello")" 200
done
is "HEAD passes" "$(answer -I "https://$JOIN_HOST/bulk/hello")" 200

# says BOX JQ : the box's status fulfils an expression.
says() { "$1_status" --json | jq -e "$2" >/dev/null; }

check "core: every tunnel is active, with a round-trip time" wait_for 10 "round-trip times" \
    says core '.tunnels | length > 0 and all(.state == "active" and .rtt_ms > 0 and .target == "'$EDGE_INNER:2222'")'
check "core: the join host's two addresses are active targets" \
    says core '[.targets[] | select(.state == "active") | .address] | sort == ["'$BRIDGE_ADDRESS'", "'$BRIDGE_ADDRESS6'"]'
for box in core edge; do
    check "$box: the two automatic rules" says $box '[.allowlist[] | [.scheme, .host, .port, .match, .path,
        (.methods | sort)]] == [["https", "wss"][] | [., "'$JOIN_HOST'", 443, "prefix", "/",
        ["DELETE", "GET", "HEAD", "POST", "PUT"]]]'
    check "$box: policy revision 1" says $box '.revision == 1'
    check "$box: the same for people" sh -c "ip netns exec '$(lab_ns $box)' '$RUN/stile-$box' status --dir '$RUN/$box' |
        grep -q 'Meeting Server web bridges  wss .* Prefix  /  .*GET'"
done
for box in core edge; do
    check "$box: requests of the tunnels, and what goes through them" says $box '([.tunnels[].requests] | add) >= 5 and
        (.tunnels | all(.rate_in >= 0 and .rate_out >= 0 and .queue >= 0 and .streams >= 0 and .retries >= 0))'
    check "$box: metrics say it too" grep -qE '^stile_tunnel_requests\{(core="core1"|edge="edge1"),tunnel="0"\} [1-9]' \
        <(lab_in $box "$RUN/stile-$box" metrics --dir "$RUN/$box")
done
check "edge: its tunnels are active" says edge '.tunnels | length > 0 and all(.state == "active" and .core == "core1")'

# One client with one peer (Send indications: its channel numbers are those of RFC 5766), alive while the status is asked for.
lab_spawn guest client turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -c -s -m 1 -n 500 -z 50 \
    -e "$BRIDGE_ADDRESS" "$EDGE_PUBLIC"
check "edge: a relay in use, its client, protocol, address, peer, permission and traffic" \
    wait_for 10 "the relay in the edge's status" says edge '.relays | any(
        (.client | startswith("198.51.100.10:")) and .protocol == "UDP" and .user == "guest" and
        (.relayed[0] | test("^203\\.0\\.113\\.10:2[4-9][0-9]{3}$")) and .peers[0].address == "'$BRIDGE_ADDRESS'" and
        .permissions == 1 and .from_client.packets > 0 and .from_client.bytes > 0)'
lab_stop guest client

lab_stop core core
check "edge: without core its tunnel is failed, and why" wait_for 5 "a failed tunnel" \
    says edge '.tunnels | length > 0 and all(.state == "failed" and .reason != "")'
guest_curl -k -D "$LAB/tmp/head" -o "$LAB/tmp/page" "https://$JOIN_HOST/"
check "guests get 502" grep -q '^HTTP/[0-9.]* 502' "$LAB/tmp/head"
check "with a time to try again" grep -qi '^retry-after: [0-9]' "$LAB/tmp/head"
tap_done
