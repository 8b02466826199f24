#!/usr/bin/env bash
# testssl.sh (Debian) against an edge: no finding of severity LOW or worse. The certificate is the lab authority's, which the
# scanner is told to trust, with a stapled OCSP response, as a public one would have it.
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

# A certificate as a public authority makes it: 90 days, and where to ask for its state.
openssl ecparam -name prime256v1 -genkey -noout -out "$LAB/edge1.key"
openssl req -new -key "$LAB/edge1.key" -subj "/CN=$JOIN_HOST" -out "$LAB/edge1.csr" 2>/dev/null
openssl x509 -req -in "$LAB/edge1.csr" -days 90 -CA "$LAB/ca/ca.pem" -CAkey "$LAB/ca/ca.key" -set_serial 0x1a2b3c4d5e6f70819203 \
    -out "$LAB/edge1.pem" -extfile <(printf '%s\n' "subjectAltName=DNS:$JOIN_HOST" extendedKeyUsage=serverAuth \
        keyUsage=critical,digitalSignature "authorityInfoAccess=OCSP;URI:http://ocsp.example.com") 2>/dev/null
printf 'V\t400101000000Z\t\t1A2B3C4D5E6F70819203\tunknown\t/CN=%s\n' $JOIN_HOST >"$LAB/index.txt"
openssl ocsp -index "$LAB/index.txt" -CA "$LAB/ca/ca.pem" -rsigner "$LAB/ca/ca.pem" -rkey "$LAB/ca/ca.key" \
    -issuer "$LAB/ca/ca.pem" -cert "$LAB/edge1.pem" -ndays 7 -respout "$LAB/edge1.der" >/dev/null 2>&1
cat "$LAB/ca/ca.pem" >>"$LAB/edge1.pem"
pair_init
cp "$LAB/edge1.der" "$RUN/edge/cert.ocsp"
# A scanner begins more handshakes that fail than any guest.
jq '.bans.enabled = false' "$RUN/edge/stile.json" >"$LAB/stile.json"
cat "$LAB/stile.json" >"$RUN/edge/stile.json"
edge_start
need 10 "the edge" tcp_open edge $EDGE_PUBLIC 443

# Nothing is asked of the network, and nobody at the keyboard.
lab_in edge testssl --warnings off --color 0 --nodns none --ip $EDGE_PUBLIC --add-ca "$LAB/ca/ca.pem" --quiet --openssl-timeout 10 \
    --jsonfile "$LAB/testssl.json" -p -S -h -U $JOIN_HOST:443 >"$LAB/log/edge-testssl.log" 2>&1 </dev/null

# minded: what is worse than a remark. That "/" is answered 502 here, where no core is, is no weakness.
minded() {
    jq -r '.[] | select(.severity | IN("OK", "INFO") | not) | select(.id != "HTTP_status_code") |
        .severity + " " + .id + ": " + .finding' "$LAB/testssl.json"
}
finding() { jq -r ".[] | select(.id == \"$1\") | .severity + \" \" + .finding" "$LAB/testssl.json"; }

is "the scan came to its end" "$(finding scanTime | cut -d' ' -f1)" INFO
is "no weakness is reported" "$(minded)" ""
is "TLS 1.1 is not offered" "$(finding TLS1_1)" "INFO not offered"
is "TLS 1.3 is" "$(finding TLS1_3)" "OK offered with final"
is "the certificate is trusted" "$(finding cert_chain_of_trust)" "OK passed."
is "its state is stapled" "$(finding OCSP_stapling | cut -d' ' -f1)" OK
is "HTTPS only, for a year" "$(finding HSTS_time)" "OK 365 days (=31536000 seconds) > 15552000 seconds"
is "no renegotiation by clients" "$(finding secure_client_renego)" "OK not vulnerable"
tap_done
