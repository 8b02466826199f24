#!/usr/bin/env bash
# The edge's certificate ordered, installed and taken by a running edge: new handshakes see it, on 443 and for TURN; what is
# connected goes on; a wrong pair changes nothing.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_init
# An upload that says little lasts as long as the test.
jq '.web_limits.body_seconds = 3600' "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

cert() { lab_in edge "$EDGE" cert "$@" --dir "$RUN/edge"; }
# seen PORT : the fingerprint that a new handshake shows; asked from the edge itself, so that no firewall matters.
seen() {
    lab_in edge sh -c "openssl s_client -connect $EDGE_PUBLIC:$1 -servername $JOIN_HOST </dev/null 2>/dev/null" |
        openssl x509 -noout -fingerprint -sha256 | cut -d= -f2
}
event() { grep -qF "$1" "$LAB/log/edge-edge.log"; }
# events TEXT : how many of them.
events() { grep -cF "$1" "$LAB/log/edge-edge.log"; }

# shown FILE FIELD : what `cert show` says of a certificate; problems: of all of them.
shown() { cert show --json | jq -r ".certificates[] | select(.file == \"$1\") | .$2"; }
problems() { cert show --json | jq -r '.alarms[] | .of + " " + .kind + " " + .severity'; }

first=$(shown cert.pem fingerprint)
is "443 shows the certificate" "$(seen 443)" "$first"
is "TURN's TLS port too" "$(seen 5349)" "$first"
is "its problem is told" "$(problems)" "cert.pem chain warning"
refute "and the exit status says so" cert show
check "status tells it" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' status --dir '$RUN/edge' | grep -q 'warning  306 cert.pem: .*comes without'"
check "and the metrics" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' metrics --dir '$RUN/edge' | \
    grep -q '^stile_certificate_alarm{of=\"cert.pem\",kind=\"chain\",severity=\"warning\"} 1'"
check "with its end" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' metrics --dir '$RUN/edge' | \
    grep -q '^stile_certificate_not_after_seconds{host=\"$JOIN_HOST\",file=\"cert.pem\",key=\"ECDSA P-256\"} 1'"

# resumed : how many of 20 handshakes take up the session of the first one, whichever worker they reach.
resumed() {
    lab_in edge sh -c "openssl s_client -connect $EDGE_PUBLIC:443 -servername $JOIN_HOST -tls1_2 -sess_out '$LAB/session' \
        </dev/null >/dev/null 2>&1
        for i in \$(seq 20); do openssl s_client -connect $EDGE_PUBLIC:443 -servername $JOIN_HOST -tls1_2 \
            -sess_in '$LAB/session' </dev/null 2>/dev/null; done | grep -c '^Reused'"
}
is "sessions are resumed by every worker" "$(resumed)" 20

# A request that is under way over all of it: curl writes while the pipe is open.
mkfifo "$LAB/slow"
lab_in guest curl -sS --http1.1 --cacert "$LAB/ca/ca.pem" -T - -o "$LAB/answer" -w '%{http_code}' \
    "https://$JOIN_HOST/bulk/sum" <"$LAB/slow" >"$LAB/code" 2>"$LAB/log/guest-slow.log" &
upload=$!
exec 9>"$LAB/slow"
echo begin >&9

cert csr --name www.example.com >"$LAB/next.csr" 2>/dev/null
check "the request names both" sh -c "openssl req -in '$LAB/next.csr' -noout -text | grep -q 'DNS:$JOIN_HOST, DNS:www.example.com'"
is "its key waits for it" "$(stat -c %a "$RUN/edge/next_key.pem")" 600
is "and nothing has changed" "$(seen 443)" "$first"
openssl x509 -req -in "$LAB/next.csr" -copy_extensions copy -days 90 -CA "$LAB/ca/ca.pem" -CAkey "$LAB/ca/ca.key" \
    -out "$LAB/next.pem" 2>/dev/null
cat "$LAB/ca/ca.pem" >>"$LAB/next.pem"
check "the certificate is installed" cert install "$LAB/next.pem"
wait_for 10 "the new certificate" event "Certificate Added"
is "it lies in one file with its key" "$(stat -c '%a %U' "$RUN/edge/cert-$JOIN_HOST.pem")" "600 UNKNOWN"
refute "what it replaces is gone" test -e "$RUN/edge/cert.pem" -o -e "$RUN/edge/key.pem"
check "the alarm is over" wait_for 10 "its end" event 'event="Alarm Cleared" alarm=306 name=certificate_chain severity=warning subject="cert.pem"'
second=$(shown "cert-$JOIN_HOST.pem" fingerprint)
refute "it is another" test "$first" = "$second"
is "443 shows it" "$(seen 443)" "$second"
is "TURN's TLS port too" "$(seen 5349)" "$second"
check "nothing is wrong with it" cert show
refute "the waiting key is gone" test -e "$RUN/edge/next_key.pem"
check "guests get through" guest_gets_through

# A key that is not its own, written by hand: what is in use goes on.
in_use=$RUN/edge/cert-$JOIN_HOST.pem
cp "$in_use" "$LAB/right.pem"
openssl ecparam -name prime256v1 -genkey -noout -out "$LAB/wrong.key"
{ openssl x509 -in "$LAB/right.pem"; cat "$LAB/wrong.key"; } >"$in_use"
wait_for 10 "the refusal" event 'Alarm Raised" alarm=310'
is "a wrong key changes nothing" "$(seen 443)" "$second"
is "status tells it" "$(edge_status --json | jq -r '.certificate_alarms[] | .of + " " + .kind')" "cert-$JOIN_HOST.pem refused"
cat "$LAB/right.pem" >"$in_use"
check "put back, the alarm is over" wait_for 10 "its end" event 'event="Alarm Cleared" alarm=310 name=certificate_refused severity=error subject="cert-join.example.com.pem"'
is "and it is no news" "$(events 'Certificate Replaced')" 0
refute "a certificate for somebody else is refused" cert install "$LAB/ca/ca.pem" --key "$LAB/ca/ca.key"
check "guests still get through" guest_gets_through

# An ACME client's webroot, as certbot writes it; whoever can write there is trusted, but only with such files.
webroot=$RUN/edge/state/webroot/.well-known/acme-challenge
challenge() { guest_curl -o - "http://$JOIN_HOST/.well-known/acme-challenge/$1"; }
printf 'token1.thumbprint\n' >"$webroot/token1"
wait_for 10 "the answer" event 'ACME Answers'
is "an ACME answer is served on port 80" "$(challenge token1)" token1.thumbprint
ln -s /etc/shadow "$webroot/token2"
printf 'token3.thumbprint\n' >"$webroot/token3"
served() { [ "$(challenge "$1")" = "$2" ]; }
check "another one later" wait_for 10 "the second answer" served token3 token3.thumbprint
is "a link is not followed" "$(challenge token2)" ""
rm "$webroot/token1"
check "one that is gone is not served" wait_for 10 "its end" served token1 ""

echo end >&9
exec 9>&-
wait $upload
is "the upload that began before all this is answered" "$(cat "$LAB/code")" 200
tap_done
