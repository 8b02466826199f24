#!/usr/bin/env bash
# 200 WebSockets at once through both boxes, 1000 messages each: all come back, whole and in order.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# echo_through SOCKETS MESSAGES
echo_through() {
    lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" timeout 120 \
        node "$ROOT/tests/lab/ws_echo.js" "wss://$JOIN_HOST/bulk/echo" "$1" "$2" >"$LAB/echo.json"
}

echo_through 200 1000
figures=$(cat "$LAB/echo.json")
diag "$figures"
is "WebSockets that opened" "$(jq .opened <<<"$figures")" 200
is "messages that came back" "$(jq .echoed <<<"$figures")" 200000
is "messages changed or out of order" "$(jq .wrong <<<"$figures")" 0
is "WebSockets that closed early" "$(jq .closedEarly <<<"$figures")" 0
is "errors" "$(jq -c .errors <<<"$figures")" "[]"
check "no flow that is not in the plan" no_drops
tap_done
