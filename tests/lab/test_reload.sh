#!/usr/bin/env bash
# 500 WebSockets, 100 relays with media both ways, 50 requests a second and a long download go on while both boxes are
# reloaded in every way there is: nothing changed, rules, targets, limits, users, secrets, certificates, tunnels, edges and
# join hosts changed, wrong configs refused. Nobody notices; and what is in force stands on both boxes.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

CALLS=100 PACKETS=20 # calls, and packets a second each way of each
DOWNLOAD=$((64 << 20))
# As many addresses that web_limits.connections_per_address can be lowered to less than one test would open.
GUESTS=(198.51.100.{10..34})
MANY=198.51.100.99   # and one that opens more than that
OTHER=192.168.77.1   # of an edge that comes and goes: relays send there as long as it is one
# shellcheck source=tests/lab/disruptions.sh
. "$ROOT/tests/lab/disruptions.sh"

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

# refused BOX : its reload is, with words in $LAB/tmp/refused.
refused() { ! reload "$1" >"$LAB/tmp/refused" 2>&1; }

says() { "$1_status" --json | jq -e "$2" >/dev/null; }

answer() { guest_curl -o /dev/null -w '%{http_code}' "$@"; }

# log BOX TEXT : it has written so; logged BOX TEXT NUMBER : so often.
log() { grep -qF -- "$2" "$LAB/log/$1-$1.log"; }
logged() { [ "$(grep -cF -- "$2" "$LAB/log/$1-$1.log")" -ge "$3" ]; }

reloads() { grep -cF 'event="Config Reloaded"' "$LAB/log/$1-$1.log"; }

edge_do() { lab_in edge "$EDGE" "$@" --dir "$RUN/edge"; }

fingerprint() {
    lab_in guest sh -c "openssl s_client -connect $EDGE_PUBLIC:443 -servername $JOIN_HOST </dev/null 2>/dev/null" |
        openssl x509 -noout -fingerprint -sha256
}

# The guests ---------------------------------------------------------------------------------------------------

# Guests without TURN are the calls' peers: relays' packets pass the outer firewall, and so do theirs.
calls_start() {
    ip -n "$(lab_ns guest)" address add $MANY/24 dev net0
    ip -n "$(lab_ns fwout)" address add $OTHER/32 dev lo
    lab_in fwout nft "add rule inet stile to_edge udp dport 24000-29999 accept; insert rule inet stile forward \
        iifname dmz oifname outside ip saddr $EDGE_PUBLIC udp sport 24000-29999 accept"
    edge_do user add callers --password-stdin <<<callers-pass >/dev/null
    lab_spawn guest calls "$BUILD/tests/lab/turn_calls" server=$EDGE_PUBLIC:3478 peer=198.51.100.10 user=callers \
        password=callers-pass realm="$JOIN_HOST" calls=$CALLS rate=$PACKETS
    need 20 "the calls" grep -qx ready "$LAB/log/guest-calls.log"
    kill -USR1 "$(lab_pid guest calls)"
}

# It is read as slowly as this test goes on, and to its end behind it.
download_start() {
    mkfifo "$LAB/tmp/download"
    lab_spawn guest download curl -sS --http1.1 --cacert "$LAB/ca/ca.pem" -o "$LAB/tmp/download" \
        "https://$JOIN_HOST/zeros/$DOWNLOAD"
    exec 9<"$LAB/tmp/download"
    download_read 1
}

download_read() { head -c $(($1 << 20)) <&9 | wc -c >>"$LAB/tmp/downloaded"; }

nothing_broke() {
    no_get_lost
    is "$NOW: POST and PUT without an answer of 200" "$(figure '.failedSeen + .failedUnseen')" 0
    is "$NOW: WebSockets that closed" "$(closed)" 0
    is "$NOW: GET and HEAD that reached a bridge twice" "$(figure .resent)" 0
    is "$NOW: connections for requests that closed" "$(figure .disconnected)" 0
}

# over : the end of a phase, in which nothing may have broken.
over() {
    end
    nothing_broke
    download_read 2
}

everything_start
calls_start
download_start
tunnels() { core_status --json | jq -c '[.workers[] | select(.worker | startswith("tunnel")) | .pid][:2]'; }
pids=$(tunnels)

# Nothing changed, and rules -----------------------------------------------------------------------------------

begin rules
core_before=$(reloads core) edge_before=$(reloads edge)
kill -HUP "$(lab_pid core core)"
kill -HUP "$(lab_pid edge edge)"
check "SIGHUP without a change: core" wait_for 5 "core's reload" logged core 'event="Config Reloaded"' $((core_before + 1))
check "and the edge" wait_for 5 "the edge's reload" logged edge 'event="Config Reloaded"' $((edge_before + 1))
is "DELETE passes before" "$(answer -X DELETE "https://$JOIN_HOST/id/del")" 200
edit core '.revision = 2 | .web_proxy.methods = ["GET", "HEAD", "POST", "PUT"]'
check "core takes other rules" reload core
check "the edge has them, under their revision" wait_for 5 "revision 2 on the edge" \
    says edge '.revision == 2 and .policy_from == "core1" and all(.allowlist[]; .methods | index("DELETE") | not)'
check "core says so, too, and that the edge has acknowledged them" wait_for 5 "the acknowledgement" \
    says core '.revision == 2 and all(.tunnels[]; .revision_acked == 2)'
is "DELETE is refused after" "$(answer -X DELETE "https://$JOIN_HOST/id/del")" 403

# Wrong configs ------------------------------------------------------------------------------------------------

edit core '.web_proxy.methods = ["GET", "HEAD", "POST", "PUT", "DELETE"]'
check "other rules under the same revision are refused" refused core
check "with file, line and key" grep -qE "/stile\.json:[0-9]+: revision: 2 is in force already.*nothing was changed" "$LAB/tmp/refused"
cp "$RUN/core/stile.json" "$LAB/tmp/right.json"
edit core '.revision = 3 | .web_proxy.tunnels_per_edge = 0'
check "a value out of bounds is refused" refused core
check "with file, line and key of that one" grep -qE "/stile\.json:[0-9]+: web_proxy\.tunnels_per_edge: " "$LAB/tmp/refused"
cat "$LAB/tmp/right.json" >"$RUN/core/stile.json"
edit core '.revision = 3 | .turn.allow_peers += ["127.0.0.0/8"]'
check "what the edge alone can judge is refused by it" refused core
check "with the edge's name and words" grep -qE "edge edge1: .*turn\.allow_peers: 127\.0\.0\.0/8 lies in" "$LAB/tmp/refused"
edit core '.web_proxy.bridge_ca = "nothing.pem" | .turn.allow_peers -= ["127.0.0.0/8"]'
check "a CA that is not there is refused" refused core
edit edge '.turn.user_quota = -1'
check "a wrong file of the edge is refused" refused edge
edit edge 'del(.turn.user_quota)'
check "and nothing has changed" says core '.revision == 2'
check "on the edge" says edge '.revision == 2 and .config_revision == 2'
is "nor for guests" "$(answer -X DELETE "https://$JOIN_HOST/id/del")" 403
over

# Changed files ------------------------------------------------------------------------------------------------

begin files
edit core '.revision = 3 | .web_proxy.bridge_ca = "bridge-ca.pem" | .web_proxy.targets = ["'"${ADDRESS[b2]}"':443"]'
check "core sees by itself that the file has changed: other targets, other rules" wait_for 10 "the new targets" \
    says core '.revision == 3 and ([.targets[] | [.address, .state]] == [["'"${ADDRESS[b2]}"'", "active"]])'
check "the edge has all of it" wait_for 5 "revision 3 on the edge" says edge '.revision == 3 and .config_revision == 3'
is "DELETE passes again" "$(answer -X DELETE "https://$JOIN_HOST/id/del")" 200
check "dns flush says what it asks for" sh -c \
    "ip netns exec '$(lab_ns core)' '$CORE' dns flush --dir '$RUN/core' | grep -qF 'asked anew: ${ADDRESS[b2]}'"
edit edge '.web_limits.connections_per_address = 24'
check "the edge sees the same of its own: other limits" wait_for 5 "a closed connection" sh -c \
    "! ip netns exec '$(lab_ns guest)' curl -s --interface $MANY --cacert '$LAB/ca/ca.pem' -o '$LAB/tmp/page' --max-time 2 --http1.1 \
    'https://$JOIN_HOST/id/many[1-60]?wait=300' -Z --parallel-immediate --parallel-max 60"
edit edge 'del(.web_limits)'
check "and back" reload edge
check "guests get in again" wait_for 5 "service" guest_gets_through
over

# Certificates, users and secrets ------------------------------------------------------------------------------

begin certificate
before=$(fingerprint)
lab_certificate "$LAB/next" "$JOIN_HOST"
check "a certificate is installed" edge_do cert install "$LAB/next.pem" --key "$LAB/next.key"
other_certificate() { [ -n "$(fingerprint)" ] && [ "$(fingerprint)" != "$before" ]; }
check "new connections see it" wait_for 10 "the new certificate" other_certificate
check "the callers' user is disabled" edge_do user disable callers
check "and enabled again" edge_do user enable callers
check "another is added" edge_do user add other --password-stdin <<<other-pass
jq '.turn_shared_secrets |= ["a new secret of the lab"] + .' "$RUN/edge/secrets.json" >"$LAB/tmp/secrets.json"
cat "$LAB/tmp/secrets.json" >"$RUN/edge/secrets.json"
check "a shared secret is added" reload edge
edit core '.revision = 4 | .turn.user_quota = 500 | .turn.deny_peers = ["192.0.2.99/32"]'
check "core brings other settings of TURN" reload core
check "the edge has them" wait_for 5 "revision 4 on the edge" says edge '.config_revision == 4'
over

# Tunnels, edges and join hosts --------------------------------------------------------------------------------

# What a relay of the edge is told of a port of the other one: nobody is there.
probe() {
    lab_in guest "$BUILD/tests/lab/turn_probe" server=$EDGE_PUBLIC:3478 user=callers password=callers-pass peer=$OTHER:24500 |
        sed -n 2p
}

begin tunnels
is "a private address is no peer" "$(probe)" "error 403"
edit core '.revision = 5 | .web_proxy.tunnels_per_edge = 3 |
    .edges += [.edges[0] + {name: "edge2", ssh: "'"$EDGE_INNER"':2299", public_address: "'$OTHER'"}]'
reload core >"$LAB/tmp/said"
is "core takes more tunnels, and another edge" $? 0
refute "nothing of it waits for a restart" grep -q restart "$LAB/tmp/said"
check "the edge that runs knows the other one" wait_for 5 "revision 5 on the edge" \
    says edge '.config_revision == 5 and .waits_for_restart == []'
is "whose relays are peers now" "$(probe)" "icmp 3 3 0 $OTHER:24500"
check "they are started" wait_for 10 "a third tunnel" says core '
    ([.tunnels[] | select(.edge == "edge1" and .state == "active")] | length == 3) and
    ([.tunnels[] | select(.edge == "edge2" and .state == "failed")] | length == 3)'
edit core '.revision = 6 | .edges |= .[:1]'
check "an edge that is taken out" reload core
check "its tunnels end" wait_for 10 "their end" says core '[.tunnels[].edge] == ["edge1", "edge1", "edge1"]'
is "and the edge's relays have no peers there any more" "$(probe)" "error 403"
is "workers that were there are there" "$(tunnels)" "$pids"

MEET=meet.example.org
edit core '.revision = 7 | .web_proxy.domains = [{join_url: .join_url, targets: .web_proxy.targets,
    bridge_ca: .web_proxy.bridge_ca}] | .join_url = "https://'$MEET'"'
check "core takes another join host, in front" reload core
check "the edge shows both" wait_for 5 "the hosts in status" says edge 'all(.tunnels[]; .domain == "'"$MEET, $JOIN_HOST"'")'
check "a new one without a certificate is an alarm, told once" says edge '[.certificate_alarms[] |
    select(.kind == "host_missing") | .of] == ["'$MEET'"]'
check "also as an event" log edge "event=\"Alarm Raised\" alarm=305 name=certificate_mismatched severity=critical subject=\"$MEET\""
check "cert show says so, though the edge's own config does not name it" sh -c \
    "ip netns exec '$(lab_ns edge)' '$EDGE' cert show --dir '$RUN/edge' | grep -q '^Problem  *$MEET '"
lab_certificate "$LAB/meet" $MEET
check "one is installed" edge_do cert install "$LAB/meet.pem" --key "$LAB/meet.key"
check "the alarm is over" wait_for 10 "its end" log edge "event=\"Alarm Cleared\" alarm=305 name=certificate_mismatched severity=critical subject=\"$MEET\""
print() { openssl x509 -noout -fingerprint -sha256; }
default_shown() {
    [ "$(lab_in guest openssl s_client -connect "$EDGE_PUBLIC:443" -noservername </dev/null 2>/dev/null | print)" = "$(print <"$LAB/$1.pem")" ]
}
check "without a name the new first host's is shown" wait_for 5 "the default" default_shown meet
edge_do cert csr 2>/dev/null | openssl req -noout -text >"$LAB/tmp/request.txt"
check "a request is for both" grep -q "DNS:$MEET, DNS:$JOIN_HOST$" "$LAB/tmp/request.txt"
edit core '.revision = 8 | .join_url = .web_proxy.domains[0].join_url | del(.web_proxy.domains)'
check "core takes it back" reload core
check "the old one is shown again" wait_for 5 "the default" default_shown next
over

# All of it ----------------------------------------------------------------------------------------------------

kill -USR2 "$(lab_pid guest calls)"
need 5 "what became of the calls" grep -q '^calls ' "$LAB/log/guest-calls.log"
calls=$(grep '^calls ' "$LAB/log/guest-calls.log")
diag "$calls"
is "calls in which nothing comes through any more" "$(sed -E 's/.* silent ([0-9]+).*/\1/' <<<"$calls")" 0
is "packets of calls that were lost" "$(sed -E 's/.* lost ([0-9]+).*/\1/' <<<"$calls")" 0
at_least "of how many" "$(sed -E 's/.* sent ([0-9]+).*/\1/' <<<"$calls")" $((CALLS * PACKETS * 2 * 10))
cat <&9 | wc -c >>"$LAB/tmp/downloaded"
is "the download is whole" "$(awk '{ n += $1 } END { print n }' "$LAB/tmp/downloaded")" $DOWNLOAD
is "WebSockets opened, ever" "$(guests opened)" "$SOCKETS"
refute "a worker that died" grep -qF 'event="Worker Crashed"' "$LAB/log/edge-edge.log" "$LAB/log/core-core.log"
tap_done
