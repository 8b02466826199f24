#!/usr/bin/env bash
# What HTTP promises beyond one request and one answer, through both boxes: 100-continue, ranges and conditions with nginx as
# the bridge; trailers, early hints, early refusals, half-closed guests and what must not cross a hop with one of Node.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

URL=https://$JOIN_HOST
PAGE=$URL/echotest.html
FILE=/usr/share/janus/demos/echotest.html
head -c 3000000 /dev/urandom >"$LAB/tmp/upload"
sum="$(sha256sum <"$LAB/tmp/upload" | cut -d' ' -f1) 3000000"
etag=$(guest_curl -I "$PAGE" | sed -n 's/^etag: \(.*\)\r/\1/Ip')

for version in --http1.1 --http2; do
    v=${version#--}
    is "$v: a file is what it was" "$(guest_curl $version "$PAGE" | sha256sum)" "$(sha256sum <"$FILE")"
    is "$v: an upload that waits for 100" \
        "$(guest_curl $version -v -T "$LAB/tmp/upload" -H 'Expect: 100-continue' "$URL/bulk/sum" 2>"$LAB/tmp/verbose")" "$sum"
    check "$v: and gets it" grep -qE '^< HTTP/[0-9.]+ 100' "$LAB/tmp/verbose"
    is "$v: an upload of unknown length" "$(guest_curl $version -T - "$URL/bulk/sum" <"$LAB/tmp/upload")" "$sum"
    is "$v: an upload of nothing" "$(guest_curl $version -X PUT -H 'Content-Length: 0' "$URL/bulk/sum")" "$(sha256sum </dev/null | cut -d' ' -f1) 0"
    is "$v: a range" "$(guest_curl $version -r 10-19 -w ' %{http_code}' "$PAGE")" "$(head -c 20 "$FILE" | tail -c 10) 206"
    is "$v: the last bytes" "$(guest_curl $version -r -5 "$PAGE" | od -c)" "$(tail -c 5 "$FILE" | od -c)"
    is "$v: several ranges" "$(guest_curl $version -r 0-1,5-6 -o /dev/null -w '%{http_code} %{content_type}' "$PAGE" | cut -d';' -f1)" "206 multipart/byteranges"
    is "$v: a range beyond the end" "$(guest_curl $version -r 99999999- -o /dev/null -w '%{http_code}' "$PAGE")" 416
    is "$v: a range if it is still the same" "$(guest_curl $version -r 0-9 -H "If-Range: $etag" -o /dev/null -w '%{http_code}' "$PAGE")" 206
    is "$v: all of it if not" "$(guest_curl $version -r 0-9 -H 'If-Range: "other"' -o /dev/null -w '%{http_code}' "$PAGE")" 200
    is "$v: nothing if it is known" "$(guest_curl $version -H "If-None-Match: $etag" -w '%{http_code} %{size_download}' "$PAGE")" "304 0"
    is "$v: HEAD says the length" "$(guest_curl $version -I "$PAGE" | sed -n 's/^content-length: \([0-9]*\)\r/\1/Ip')" "$(stat -c %s "$FILE")"
done

lab_stop bridge nginx
lab_spawn bridge node node "$ROOT/tests/lab/semantics_bridge.js" "$LAB/bridge/bridge.pem" "$LAB/bridge/bridge.key"
served() { guest_curl -f -o /dev/null --max-time 2 "$URL/empty"; }
need 10 "the other bridge" served
lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/semantics_guest.js" \
    >"$LAB/semantics.json" 2>"$LAB/log/guest-semantics.log"
while IFS=$'\t' read -r name got wanted; do
    is "$name" "$got" "$wanted"
done < <(jq -r '[.name, (.got | tojson), (.wanted | tojson)] | @tsv' "$LAB/semantics.json")
# RFC 9113 §8.1: the answer whole, then a reset without an error. (nghttp, since the clients of Node and of curl 7.88 drop the
# answer when such a reset comes with it.)
lab_in guest nghttp -nv -H':method: PUT' -d "$LAB/tmp/upload" "$URL/too-large" >"$LAB/tmp/frames" 2>&1
is "h2: an answer before the end of a large upload" \
    "$(grep -aoE 'recv .*:status: [0-9]+|recv DATA|recv RST_STREAM|\(error_code=[A-Z_]+' "$LAB/tmp/frames" | sed 's/recv (.*) //' | head -4 | tr '\n' ' ')" \
    ":status: 413 recv DATA recv RST_STREAM (error_code=NO_ERROR "
check "all was asked" grep -q '"end"' "$LAB/semantics.json"
tap_done
