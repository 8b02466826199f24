#!/usr/bin/env bash
# HTTP/2 from guests through both boxes to the bridge: requests, bodies of 100 MB each way, WebSockets, a reader that
# stalls, floods, and an edge that stops while a download runs.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

MB100=100000000
URL=https://$JOIN_HOST/bulk

# The fixed pseudo-random stream that bulk.js sends as well.
stream() {
    head -c "$1" /dev/zero |
        openssl enc -aes-128-ctr -K 00000000000000000000000000000000 -iv 00000000000000000000000000000000
}
sum() { sha256sum | cut -d ' ' -f 1; }
web_counter() { edge_status --json | jq "[.web[].$1] | add"; }
guest_h2() { lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/guest_h2.js" "$JOIN_HOST" "$@"; }
# field JSON FILTER
field() { jq -r "$2" <<<"$1"; }

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# Requests ---------------------------------------------------------------------------------------------------------

is "curl: HTTP/2 by ALPN" "$(guest_curl -o /dev/null -w '%{http_version} %{http_code}' "$URL/hello")" "2 200"
is "HTTP/1.1 is there for who asks" "$(guest_curl --http1.1 -o /dev/null -w '%{http_version} %{http_code}' "$URL/hello")" "1.1 200"
is "HEAD" "$(guest_curl -I -o /dev/null -w '%{http_code} %{size_download}' "$URL/hello")" "200 0"
is "the bridge is told who asked, and how" \
    "$(guest_curl -4 -H 'X-Forwarded-For: 6.6.6.6' "$URL/hello" | jq -r '.headers | "\(.via | split(",")[0]) \(.["x-forwarded-for"])"')" \
    "2.0 stile-edge 198.51.100.10"
is "what no rule allows" "$(guest_curl -X PATCH -o /dev/null -w '%{http_version} %{http_code}' "$URL/hello")" "2 403"
is "another host on the same connection: misdirected" \
    "$(guest_curl -H 'Host: other.example.com' -o /dev/null -w '%{http_version} %{http_code}' "$URL/hello")" "2 421"
early=$(guest_h2 early)
is "an answer ahead of the body's end is whole" "$(field "$early" '"\(.status) \(.bytes > 300) \(.code) \(.error)"')" "403 true 0 null"

# Bodies -----------------------------------------------------------------------------------------------------------

wanted=$(stream $MB100 | sum)
start=$(now_ms)
is "100 MB down" "$(guest_curl -f --max-time 60 "$URL/data?bytes=$MB100" | sum)" "$wanted"
diag "down: $((MB100 / 1000 / ($(now_ms) - start))) MB/s"
start=$(now_ms)
is "100 MB down over HTTP/1.1" "$(guest_curl --http1.1 -f --max-time 60 "$URL/data?bytes=$MB100" | sum)" "$wanted"
diag "down over HTTP/1.1: $((MB100 / 1000 / ($(now_ms) - start))) MB/s"
stream $MB100 >"$LAB/tmp/up"
start=$(now_ms)
is "100 MB up" "$(guest_curl -f --max-time 60 -T "$LAB/tmp/up" "$URL/sum")" "$wanted $MB100"
diag "up: $((MB100 / 1000 / ($(now_ms) - start))) MB/s"
rm "$LAB/tmp/up"

load=$(lab_in guest h2load -n 5000 -c 10 -m 50 "$URL/hello" 2>&1)
printf '%s\n' "$load" >"$LAB/log/guest-h2load.log"
is "h2load: 5000 requests, 50 at once on each of 10 connections" "$(grep -oE '[0-9]+ 2xx' <<<"$load")" "5000 2xx"
diag "$(grep 'finished in' <<<"$load")"

# WebSockets, stalls -----------------------------------------------------------------------------------------------

ws=$(guest_h2 websocket)
is "a WebSocket over HTTP/2 (RFC 8441)" "$(field "$ws" '"\(.status) \(.echo)"')" "200 hello"

before=$(box_memory edge "$EDGE")
memory_watch edge-stall edge "$EDGE"
stalled=$(guest_h2 stalled 20000000)
is "one download stalls, its neighbour finishes" "$(field "$stalled" '"\(.stopped) \(.second.status) \(.second.bytes)"')" "true 200 20000000"
is "read again, it comes whole" "$(field "$stalled" '"\(.first.code) \(.first.error)"')" "0 null"
at_most "KiB that the edge grew meanwhile" $(($(memory_peak edge-stall) - before)) 8192

# Floods -----------------------------------------------------------------------------------------------------------

flood=$(guest_h2 resets 2>"$LAB/log/guest-resets.log")
is "rapid reset ends in GOAWAY with ENHANCE_YOUR_CALM" "$(field "$flood" .goaway)" 11
at_least "streams that it took" "$(field "$flood" .opened)" 200
at_least "counted" "$(web_counter http2_abuses.resets)" 1
is "logged once" "$(grep -c 'event="HTTP/2 Abuse"' "$LAB/log/edge-edge.log")" 1
check "others are served" guest_gets_through
at_least "requests over HTTP/2 in status" "$(web_counter http2_requests)" 5000
at_least "requests over HTTP/1 in status" "$(web_counter http1_requests)" 1
check "status shows what guests spoke" grep -qE 'HTTP/2 +[0-9]+ +5[0-9]{3} ' <(edge_status)
check "so do the metrics" grep -qE '^stile_web_protocol_requests_total\{.*protocol="http2".* [1-9]' \
    <(lab_in edge "$EDGE" metrics --dir "$RUN/edge")
is "nothing waits for anybody" "$(web_counter held)" 0

# Stopping ---------------------------------------------------------------------------------------------------------

guest_h2 drain >"$LAB/drain.json" 2>"$LAB/log/guest-drain.log" &
guest=$!
wait_for 5 "the download to begin" grep -q begun "$LAB/log/guest-drain.log"
lab_stop edge edge
wait $guest
is "an edge that stops says so, and finishes the download" \
    "$(jq -r '"\(.goaway) \(.bytes) \(.code) \(.error)"' "$LAB/drain.json")" "0 3000000 0 null"
tap_done
