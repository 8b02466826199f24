#!/usr/bin/env bash
# Several certificates on a running edge: each is shown to who asks for a name in it (SNI), RSA beside ECDSA, on 443 as for TURN
# over TLS and DTLS; OCSP responses are stapled while they are right; what is not right is refused, and raises an alarm.
# shellcheck source=tests/lab/lab.sh
LAB_BOXES="edge core"
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_prepare
lab_ca
for box in $LAB_BOXES; do ip -n "$(lab_ns $box)" link set lo up; done
ip -n "$(lab_ns edge)" address add $EDGE_PUBLIC/32 dev lo
ip -n "$(lab_ns edge)" address add $EDGE_INNER/32 dev lo
pair_init
OTHER_HOST=meet.example.org
# A connection of the beginning waits for long with its first request.
jq ".web_limits.head_seconds = 600 | .web_proxy.domains = [{\"join_url\": \"https://$OTHER_HOST\", \"targets\": [\"10.20.0.30\"]}]" "$RUN/edge/stile.json" >"$LAB/stile.json"
cat "$LAB/stile.json" >"$RUN/edge/stile.json"
edge_start
event() { grep -qF "$1" "$LAB/log/edge-edge.log"; }
need 10 "the edge" event 'event="Worker Ready" worker=turn0'
cert() { lab_in edge "$EDGE" cert "$@" --dir "$RUN/edge"; }

# client PORT NAME OPTION... : what openssl s_client says; NAME - : no SNI.
client() {
    local port=$1 name=$2
    shift 2
    [ "$name" = - ] && set -- -noservername "$@" || set -- -servername "$name" "$@"
    lab_in edge timeout 10 openssl s_client -connect $EDGE_PUBLIC:"$port" "$@" </dev/null 2>/dev/null
}
seen() { client "$@" | openssl x509 -noout -fingerprint -sha256 | cut -d= -f2; }
print() { openssl x509 -in "$1" -noout -fingerprint -sha256 | cut -d= -f2; }

# signed FILE KEY DAYS NAMES [OPENSSL-EXTENSION] : FILE.pem for "DNS:a,DNS:b", its authority behind it.
serial=1000
signed() {
    serial=$((serial + 1))
    [ -e "$2" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$2"
    openssl req -new -key "$2" -subj "/CN=lab" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -days "$3" -CA "$LAB/ca/ca.pem" -CAkey "$LAB/ca/ca.key" -set_serial $serial -out "$1.pem" \
        -extfile <(printf 'subjectAltName=%s\n%s\n' "$4" "${5:-}") 2>/dev/null
    cat "$LAB/ca/ca.pem" >>"$1.pem"
}
# response FILE OUT [OPTION...] : what the authority says of FILE (openssl ocsp's options for how long), in OUT.
response() {
    local file=$1 out=$2 serial
    shift 2
    serial=$(openssl x509 -in "$file" -noout -serial | cut -d= -f2)
    printf 'V\t400101000000Z\t\t%s\tunknown\t/CN=lab\n' "$serial" >"$LAB/index.txt"
    openssl ocsp -index "$LAB/index.txt" -CA "$LAB/ca/ca.pem" -rsigner "$LAB/ca/ca.pem" -rkey "$LAB/ca/ca.key" -issuer "$LAB/ca/ca.pem" \
        -cert "$file" -respout "$out" "$@" >/dev/null 2>&1
}

is "a host that no certificate names is an alarm" "$(edge_status --json | jq -r '.certificate_alarms[] | .of + " " + .kind + " " + .severity' | sort | tail -1)" \
    "$OTHER_HOST host_missing severe"
cert csr 2>/dev/null | openssl req -noout -text >"$LAB/all.txt"
check "a request without names is for all join hosts" grep -q "DNS:$JOIN_HOST, DNS:$OTHER_HOST" "$LAB/all.txt"
cert csr $OTHER_HOST 2>/dev/null | openssl req -noout -text >"$LAB/one.txt"
check "with a name it is for that one" grep -q "DNS:$OTHER_HOST$" "$LAB/one.txt"

signed "$LAB/join" "$LAB/join.key" 90 "DNS:$JOIN_HOST"
openssl genrsa -out "$LAB/rsa.key" 2048 2>/dev/null
signed "$LAB/rsa" "$LAB/rsa.key" 90 "DNS:$JOIN_HOST"
signed "$LAB/other" "$LAB/other.key" 90 "DNS:$OTHER_HOST,DNS:*.$OTHER_HOST"

# A connection that began before all this; s_client answers with what it is told.
mkfifo "$LAB/old"
lab_in edge openssl s_client -connect $EDGE_PUBLIC:443 -servername $JOIN_HOST -quiet <"$LAB/old" >"$LAB/old.txt" 2>/dev/null &
old=$!
exec 8>"$LAB/old"

check "one for the first host is installed" cert install "$LAB/join.pem" --key "$LAB/join.key"
check "one with an RSA key beside it" cert install "$LAB/rsa.pem" --key "$LAB/rsa.key"
check "one for the other host" cert install "$LAB/other.pem" --key "$LAB/other.key"
wait_for 10 "the last one" event "Certificate Added\" file=cert-$OTHER_HOST.pem"
check "the missing host is no alarm any more" wait_for 10 "its end" event "Alarm Cleared\" alarm=305 name=certificate_mismatched severity=critical subject=\"$OTHER_HOST\""
is "three certificates are there" "$(cd "$RUN/edge" && echo cert*.pem)" "cert-$JOIN_HOST-rsa.pem cert-$JOIN_HOST.pem cert-$OTHER_HOST.pem"
check "and in order" cert show
for port in 443 5349; do
    is "$port: the first host's" "$(seen $port $JOIN_HOST)" "$(print "$LAB/join.pem")"
    is "$port: the other host's" "$(seen $port $OTHER_HOST)" "$(print "$LAB/other.pem")"
    is "$port: a wildcard's" "$(seen $port a.$OTHER_HOST)" "$(print "$LAB/other.pem")"
    is "$port: to who knows no ECDSA, the RSA one" "$(seen $port $JOIN_HOST -tls1_2 -cipher ECDHE+aRSA)" "$(print "$LAB/rsa.pem")"
    is "$port: without a name, the first host's" "$(seen $port -)" "$(print "$LAB/join.pem")"
    is "$port: to who asks for nobody's name, too" "$(seen $port nobody.example.net)" "$(print "$LAB/join.pem")"
done
is "DTLS: the first host's" "$(seen 5349 $JOIN_HOST -dtls1_2)" "$(print "$LAB/join.pem")"
is "DTLS: the other host's" "$(seen 5349 $OTHER_HOST -dtls1_2)" "$(print "$LAB/other.pem")"
is "a host that the certificate names, but nobody serves, is refused" \
    "$(lab_in edge curl -s -o /dev/null -w '%{http_code}' --cacert "$LAB/ca/ca.pem" --resolve "a.$OTHER_HOST:443:$EDGE_PUBLIC" "https://a.$OTHER_HOST/")" 421
printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' $JOIN_HOST >&8
exec 8>&-
wait $old
check "the old connection is answered" grep -q '^HTTP/1.1 502' "$LAB/old.txt"

# Sessions of before are taken up after the certificate has changed.
for version in tls1_2 tls1_3; do
    printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' $JOIN_HOST | lab_in edge openssl s_client -ign_eof \
        -connect $EDGE_PUBLIC:443 -servername $JOIN_HOST -$version -sess_out "$LAB/$version" >/dev/null 2>&1
done
signed "$LAB/join2" "$LAB/join.key" 90 "DNS:$JOIN_HOST"
check "the next one, for the key in use" cert install "$LAB/join2.pem"
wait_for 10 "it" event "Certificate Replaced\" file=cert-$JOIN_HOST.pem"
is "is shown" "$(seen 443 $JOIN_HOST)" "$(print "$LAB/join2.pem")"
for version in tls1_2 tls1_3; do
    check "sessions of before are resumed: $version" sh -c "ip netns exec '$(lab_ns edge)' openssl s_client -connect $EDGE_PUBLIC:443 \
        -servername $JOIN_HOST -$version -sess_in '$LAB/$version' </dev/null 2>/dev/null | grep -q '^Reused'"
done
check "no early data is offered" sh -c "openssl sess_id -in '$LAB/tls1_3' -noout -text | grep -q 'Max Early Data: 0'"

# Stapling.
response "$LAB/join2.pem" "$LAB/good.der" -ndays 3
cp "$LAB/good.der" "$RUN/edge/cert-$JOIN_HOST.ocsp"
wait_for 10 "the response" event "OCSP Response Stapled\" file=cert-$JOIN_HOST.pem"
stapled() { client "$1" $JOIN_HOST -status "${@:2}" | grep -c 'OCSP Response Status: successful'; }
is "a response beside the certificate is stapled" "$(stapled 443)" 1
is "with TLS 1.2" "$(stapled 443 -tls1_2)" 1
is "for TURN, too" "$(stapled 5349)" 1
is "not with another certificate" "$(client 443 $OTHER_HOST -status | grep -c 'OCSP response: no response sent')" 1
response "$LAB/other.pem" "$LAB/foreign.der" -ndays 3
cat "$LAB/foreign.der" >"$RUN/edge/cert-$JOIN_HOST.ocsp"
check "another certificate's raises an alarm" wait_for 10 "it" event "Alarm Raised\" alarm=307 name=certificate_ocsp severity=warning subject=\"cert-$JOIN_HOST.pem\""
is "and is not stapled" "$(stapled 443)" 0
cat "$LAB/good.der" >"$RUN/edge/cert-$JOIN_HOST.ocsp"
check "the right one again ends it" wait_for 10 "its end" event "Alarm Cleared\" alarm=307 name=certificate_ocsp severity=warning subject=\"cert-$JOIN_HOST.pem\""
response "$LAB/join2.pem" "$LAB/endless.der"
cat "$LAB/endless.der" >"$RUN/edge/cert-$JOIN_HOST.ocsp"
endless() { edge_status --json | jq -r '.certificate_alarms[].reason' | grep 'until when it holds' >/dev/null; }
check "one without an end is seen" wait_for 10 "it" endless
is "and not stapled" "$(stapled 443)" 0
signed "$LAB/must" "$LAB/join.key" 90 "DNS:$JOIN_HOST" "tlsfeature=status_request"
response "$LAB/must.pem" "$LAB/must.der" -ndays 3
check "must-staple, installed with its response" cert install "$LAB/must.pem" --ocsp "$LAB/must.der"
check "cert show says so" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' cert show --dir '$RUN/edge' | grep -q 'OCSP  *stapled until .*must-staple'"
must() { [ "$(seen 443 $JOIN_HOST)" = "$(print "$LAB/must.pem")" ]; }
check "it is shown" wait_for 10 "it" must
is "and stapled" "$(stapled 443)" 1

# What is not right does not come in.
signed "$LAB/expired" "$LAB/join.key" -1 "DNS:$JOIN_HOST"
check "one that has expired" sh -c "! openssl x509 -in '$LAB/expired.pem' -noout -checkend 0 >/dev/null"
refute "is not installed" cert install "$LAB/expired.pem"
before=$(cd "$RUN/edge" && echo cert-*.pem)
cert install "$LAB/expired.pem" --force >"$LAB/forced.txt" 2>&1
is "--force installs it beside the valid one" "$(cd "$RUN/edge" && echo cert-*.pem)" \
    "$(tr ' ' '\n' <<<"$before cert-$JOIN_HOST-2.pem" | LC_ALL=C sort | xargs)"
check "and says that that one stays" grep -q "/cert-$JOIN_HOST.pem: stays, as it is valid" "$LAB/forced.txt"
check "the edge knows it" wait_for 10 "it" event "Certificate Added\" file=cert-$JOIN_HOST-2.pem"
is "guests are shown the valid one" "$(seen 443 $JOIN_HOST)" "$(print "$LAB/must.pem")"
cat "$LAB/expired.pem" "$LAB/join.key" >"$RUN/edge/cert-$JOIN_HOST.pem"
check "nor taken when it is written by hand" wait_for 10 "the refusal" event "Alarm Raised\" alarm=310 name=certificate_refused severity=error subject=\"cert-$JOIN_HOST.pem\""
is "what was in use goes on" "$(seen 443 $JOIN_HOST)" "$(print "$LAB/must.pem")"
signed "$LAB/soon" "$LAB/join.key" 5 "DNS:$JOIN_HOST"
check "one that ends soon is" cert install "$LAB/soon.pem"
check "with an alarm" wait_for 10 "it" event "Alarm Raised\" alarm=303 name=certificate_ends_in_days severity=error subject=\"cert-$JOIN_HOST.pem\""
chmod 644 "$RUN/edge/cert-$OTHER_HOST.pem"
touch "$RUN/edge/cert-$OTHER_HOST.pem"
check "a key that others may read is refused" wait_for 10 "the refusal" event "Alarm Raised\" alarm=310 name=certificate_refused severity=error subject=\"cert-$OTHER_HOST.pem\""
is "and what was in use goes on" "$(seen 443 $OTHER_HOST)" "$(print "$LAB/other.pem")"
rm "$RUN"/edge/cert*.pem
check "without any file left" wait_for 10 "the refusal" event "no certificate is left in the folder"
is "what was in use goes on, too" "$(seen 443 $OTHER_HOST)" "$(print "$LAB/other.pem")"
check "the edge is alive" lab_alive edge edge
tap_done
