#!/usr/bin/env bash
# The access log as an administrator has it: JSON and combined, to a file that is rotated and to standard error, WebSockets,
# clients behind a load balancer. One id of a request everywhere: what the bridge gets, the log, error pages, both boxes' events.
# And the error pages themselves, in a real browser.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
ip -n "$(lab_ns guest)" address add 198.51.100.77/24 dev net0
lab_ca
lab_dns
bridge_start

URL=https://$JOIN_HOST
LOG=$RUN/log/access.log

# settings JQ : changes the edge's config.
settings() { jq "$1" "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"; }
reload() { lab_in edge "$EDGE" reload --dir "$RUN/edge" >"$LAB/tmp/reload" 2>&1; }

pair_init
mkdir "$RUN/log"
chown 64711 "$RUN/log"
settings '.web_proxy.access_log = {file: "'"$LOG"'", format: "json"} | .web_proxy.load_balancers = ["198.51.100.77/32"]'
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

# line JQ : a line of the JSON log that fulfils it; comes within a second or two.
has_line() { jq -c "select($1)" "$LOG" | grep . >/dev/null; }
line() { check "$1" wait_for 5 "the line" has_line "$2"; }

# One id ---------------------------------------------------------------------------------------------------------

id=$(guest_curl -4 -A 'lab "agent"' "$URL/bulk/hello?secret=1" | jq -r '.headers["x-request-id"]')
line "a request's line has the id that the bridge got, its client, method, URL without query, agent, way and sizes" \
    ".request == \"$id\" and .client == \"198.51.100.10\" and .method == \"GET\" and .url == \"$URL/bulk/hello\" and
     .status == 200 and .protocol == \"h2\" and .user_agent == \"lab \\\"agent\\\"\" and .core == \"core1\" and .bytes_out > 100 and
     .duration_ms >= .first_byte_ms and .end == \"complete\""

page_id() { grep -o '>Request [0-9a-f]*<' "$1" | grep -o '[0-9a-f]\{24\}'; }
guest_curl -o "$LAB/tmp/page" -X PATCH "$URL/bulk/hello"
id=$(page_id "$LAB/tmp/page")
line "the id on the page of a refusal is in the log" ".request == \"$id\" and .status == 403 and .method == \"PATCH\""
check "and in the edge's event" grep -q "event=\"Request Refused\".*request=\"$id\"" "$LAB/log/edge-edge.log"
guest_curl -o "$LAB/tmp/page" "$URL/bulk%00"
id=$(page_id "$LAB/tmp/page")
line "also where the request could not be read" ".request == \"$id\" and .status == 400"

lab_stop bridge nginx
guest_curl -o "$LAB/tmp/page" "$URL/bulk/hello"
id=$(page_id "$LAB/tmp/page")
line "the id on the page of core's own answer is in the log" ".request == \"$id\" and .status == 502"
check "and in core's event" grep -q "event=\"Request Failed\".*request=\"$id\"" "$LAB/log/core-core.log"

# Pages ----------------------------------------------------------------------------------------------------------

[ -e "$LAB/home/.pki" ] || lab_browser_home
mkdir -p "$BUILD/screens/error-pages"
lab_in guest env HOME="$LAB/home" node "$ROOT/tests/browser/pages.js" "$BUILD/screens/error-pages" "400=$URL/%00" \
    "421=https://$EDGE_PUBLIC/" "502=$URL/" >"$LAB/pages.json" 2>"$LAB/log/guest-pages.log"
is "a browser shows the pages, wide and narrow, light and dark" "$(jq -rs 'map(select(.status == (.page | tonumber) and
    .overflow <= 0 and (.heading | length) > 5 and .text == (if .scheme == "dark" then "rgb(255, 255, 255)" else "rgb(0, 0, 0)" end))) | length' "$LAB/pages.json")" 12

# shellcheck disable=SC2046 # words
lab_spawn bridge nginx $(bridge_nginx "$LAB/bridge")
need 10 "service again" guest_gets_through

# WebSockets, load balancers, rotation ---------------------------------------------------------------------------

guest_curl -4 --http1.1 --max-time 1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' "$URL/bulk/echo" >"$LAB/tmp/echo" 2>&1
line "a WebSocket has its line when it ends" '.protocol == "wss" and .status == 101 and .duration_ms > 500'

is "a guest behind a load balancer is served" "$(lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" \
    node "$ROOT/tests/lab/proxied.js" "$EDGE_PUBLIC" 192.0.2.99 /bulk/proxied)" 200
line "its line has the client that the balancer names" '.client == "192.0.2.99" and (.url | endswith("/bulk/proxied"))'

mv "$LOG" "$LOG.1"
kill -HUP "$(lab_pid edge edge)"
reopened() { [ -e "$LOG" ]; }
check "SIGHUP opens the file anew" wait_for 5 "the new file" reopened
guest_curl -o /dev/null "$URL/bulk/rotated"
line "and what comes then is in it" '.url | endswith("/bulk/rotated")'
refute "not in the old one" grep -q /bulk/rotated "$LOG.1"
is "every line is JSON" "$(jq -c . "$LOG.1" | wc -l)" "$(wc -l <"$LOG.1")"
is "the file is for its group to read" "$(stat -c %a "$LOG")" 640

settings '.web_proxy.access_log.format = "combined" | .web_proxy.access_log.query = true'
check "reload takes another format" reload
guest_curl -4 -o /dev/null "$URL/bulk/combined?a=b"
combined() {
    grep -qE "^198\.51\.100\.10 - - \[[^]]+\] \"GET $URL/bulk/combined\?a=b HTTP/2.0\" 200 [0-9]+ \"-\" \"curl/[^\"]+\" request=[0-9a-f]{24} " "$1"
}
check "a line as Apache and nginx have it, with its query" wait_for 5 "the line" combined "$LOG"
settings '.web_proxy.access_log.file = "-"'
check "reload takes standard error" reload
guest_curl -4 -o /dev/null "$URL/bulk/combined?a=b"
check "and lines go there" wait_for 5 "the line" combined "$LAB/log/edge-edge.log"

# Figures --------------------------------------------------------------------------------------------------------

for box in edge core; do
    program=${box^^}
    lab_in $box "${!program}" metrics --dir "$RUN/$box" >"$LAB/$box.prom"
    check "$box's figures are what promtool takes" promtool check metrics <"$LAB/$box.prom"
done
for metric in 'stile_web_responses_by_code_total{[^}]*code="403"[^}]*} [1-9]' 'stile_web_responses_by_code_total{[^}]*code="502"' \
    'stile_web_requests_refused_total{[^}]*reason="streams"' 'stile_web_request_seconds_bucket{[^}]*stage="edge"' \
    'stile_web_request_seconds_bucket{[^}]*stage="tunnel"' 'stile_web_sent_bytes_total' stile_web_retries_total stile_bans; do
    check "the edge counts ${metric%%\{*} ${metric##*\{}" grep -q "^$metric" "$LAB/edge.prom"
done
check "core counts the bridge's time" grep -q '^stile_web_request_seconds_bucket{[^}]*stage="bridge"' "$LAB/core.prom"
tap_done
