#!/usr/bin/env bash
# Guests with kept connections, WebSockets, a long download and 50 requests a second, while core is reloaded: rules change,
# targets change, the edge's limits change, a second edge comes and goes, and wrong configs are refused. Nobody notices, and
# the revision in force stands on both boxes.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# edit BOX JQ : changes its stile.json in place; its owner stays.
edit() {
    local file=$RUN/$1/stile.json
    jq "$2" "$file" >"$LAB/tmp/edit.json" && cat "$LAB/tmp/edit.json" >"$file"
}

reload() {
    local program=$EDGE
    [ "$1" = edge ] || program=$CORE
    lab_in "$1" "$program" reload --dir "$RUN/$1"
}

says() { "$1_status" --json | jq -e "$2" >/dev/null; }

answer() { guest_curl -o /dev/null -w '%{http_code}' "$@"; }

# log BOX TEXT : it has written so.
log() { grep -qF -- "$2" "$LAB/log/$1-$1.log"; }

lab_spawn guest load env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/reload_guest.js" "$JOIN_HOST"
need 10 "the guests" grep -qx begun "$LAB/log/guest-load.log"
tunnels() { core_status --json | jq -c '[.workers[] | select(.worker | startswith("tunnel")) | .pid][:2]'; }
pids=$(tunnels)

# Rules
is "DELETE passes before" "$(answer -X DELETE "https://$JOIN_HOST/bulk/hello")" 200
edit core '.revision = 2 | .web_proxy.methods = ["GET", "HEAD", "POST", "PUT"]'
check "core takes other rules" reload core
check "the edge has them, under their revision" wait_for 5 "revision 2 on the edge" \
    says edge '.revision == 2 and .policy_from == "core1" and all(.allowlist[]; .methods | index("DELETE") | not)'
check "core says so, too, and that the edge has acknowledged them" wait_for 5 "the acknowledgement" \
    says core '.revision == 2 and all(.tunnels[]; .revision_acked == 2)'
is "DELETE is refused after" "$(answer -X DELETE "https://$JOIN_HOST/bulk/hello")" 403

# Wrong configs
edit core '.web_proxy.methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]'
reload core >"$LAB/tmp/refused" 2>&1
is "other rules under the same revision are refused" $? 1
check "with file, line and key" grep -qE "/stile\.json:[0-9]+: revision: 2 is in force already.*nothing was changed" "$LAB/tmp/refused"
cp "$RUN/core/stile.json" "$LAB/tmp/right.json"
edit core '.revision = 3 | .web_proxy.tunnels_per_edge = 0'
reload core >"$LAB/tmp/refused" 2>&1
is "a value out of bounds is refused" $? 1
check "with file, line and key of that one" grep -qE "/stile\.json:[0-9]+: web_proxy\.tunnels_per_edge: " "$LAB/tmp/refused"
cat "$LAB/tmp/right.json" >"$RUN/core/stile.json"
edit core '.revision = 3 | .web_proxy.bridge_ca = "nothing.pem"'
refute "a CA that is not there is refused" reload core
check "and nothing has changed" says core '.revision == 2'
is "nor for guests" "$(answer -X DELETE "https://$JOIN_HOST/bulk/hello")" 403

# Targets, by SIGHUP
edit core '.revision = 3 | .web_proxy.bridge_ca = "bridge-ca.pem" | .web_proxy.targets = ["['"$BRIDGE_ADDRESS6"']:443"]'
kill -HUP "$(lab_pid core core)"
check "core takes other targets" wait_for 10 "the new targets" \
    says core '.revision == 3 and ([.targets[] | [.address, .state]] == [["'"$BRIDGE_ADDRESS6"'", "active"]])'
is "DELETE passes again" "$(answer -X DELETE "https://$JOIN_HOST/bulk/hello")" 200
check "dns flush says what it asks for" sh -c \
    "ip netns exec '$(lab_ns core)' '$CORE' dns flush --dir '$RUN/core' | grep -qF 'asked anew: $BRIDGE_ADDRESS6'"

# The edge's limits
edit edge '.web_limits.connections_per_address = 22'
check "the edge takes other limits" reload edge
check "they count at once: of thirty connections more than guests have some are closed" wait_for 5 "a closed connection" sh -c \
    "! ip netns exec '$(lab_ns guest)' curl -s --cacert '$LAB/ca/ca.pem' -o '$LAB/tmp/page' --max-time 2 \
    'https://$JOIN_HOST/bulk/hello?[1-30]' -Z --parallel-immediate"
edit edge 'del(.web_limits)'
check "and back" reload edge
check "guests get in again" wait_for 5 "service" guest_gets_through

# Tunnels
edit core '.revision = 4 | .web_proxy.tunnels_per_edge = 3 |
    .edges += [.edges[0] + {name: "edge2", ssh: "'"$EDGE_INNER"':2299"}]'
check "core takes more tunnels, and another edge" reload core
check "they are started" wait_for 10 "a third tunnel" says core '
    ([.tunnels[] | select(.edge == "edge1" and .state == "active")] | length == 3) and
    ([.tunnels[] | select(.edge == "edge2" and .state == "failed")] | length == 3)'
edit core '.revision = 5 | .edges |= .[:1]'
check "an edge that is taken out" reload core
check "its tunnels end" wait_for 10 "their end" says core '[.tunnels[].edge] == ["edge1", "edge1", "edge1"]'
is "workers that were there are there" "$(tunnels)" "$pids"

# Join hosts
MEET=meet.example.org
edit core '.revision = 6 | .web_proxy.domains = [{join_url: .join_url, targets: .web_proxy.targets,
    bridge_ca: .web_proxy.bridge_ca}] |
    .join_url = "https://'$MEET'"'
check "core takes another join host, in front" reload core
check "the edge shows both" wait_for 5 "the hosts in status" says edge 'all(.tunnels[]; .domain == "'"$MEET, $JOIN_HOST"'")'
check "a new one without a certificate is an alarm, told once" says edge '[.certificate_alarms[] |
    select(.kind == "host_missing") | .of] == ["'$MEET'"]'
check "also as an event" log edge "event=\"Alarm Raised\" alarm=305 name=certificate_mismatched severity=critical subject=\"$MEET\""
check "cert show says so, though the edge's own config does not name it" sh -c \
    "ip netns exec '$(lab_ns edge)' '$EDGE' cert show --dir '$RUN/edge' | grep -q '^Problem  *$MEET '"
lab_certificate "$LAB/meet" $MEET
check "one is installed" lab_in edge "$EDGE" cert install "$LAB/meet.pem" --key "$LAB/meet.key" --dir "$RUN/edge"
check "the alarm is over" wait_for 10 "its end" log edge "event=\"Alarm Cleared\" alarm=305 name=certificate_mismatched severity=critical subject=\"$MEET\""
print() { openssl x509 -noout -fingerprint -sha256; }
default_shown() {
    [ "$(lab_in guest openssl s_client -connect "$EDGE_PUBLIC:443" -noservername </dev/null 2>/dev/null | print)" = "$(print <"$LAB/$1.pem")" ]
}
check "without a name the new first host's is shown" wait_for 5 "the default" default_shown meet
lab_in edge "$EDGE" cert csr --dir "$RUN/edge" 2>/dev/null | openssl req -noout -text >"$LAB/tmp/request.txt"
check "a request is for both" grep -q "DNS:$MEET, DNS:$JOIN_HOST$" "$LAB/tmp/request.txt"
edit core '.revision = 7 | .join_url = .web_proxy.domains[0].join_url | del(.web_proxy.domains)'
check "core takes it back" reload core
check "the old one is shown again" wait_for 5 "the default" default_shown edge1

lab_stop guest load
figures=$(tail -n 1 "$LAB/log/guest-load.log")
diag "$figures"
is "requests that were not answered" "$(jq -c '[.requests - .answered, .failed]' <<<"$figures")" "[0,[]]"
at_least "requests" "$(jq .requests <<<"$figures")" 100
at_most "connections that guests needed" "$(jq .connections <<<"$figures")" 20
is "WebSockets opened" "$(jq .opened <<<"$figures")" 20
is "WebSockets closed" "$(jq -c .closed <<<"$figures")" "[]"
is "messages changed" "$(jq .wrong <<<"$figures")" 0
is "the download" "$(jq -r .download <<<"$figures")" whole
tap_done
