#!/usr/bin/env bash
# Every request of tests/corpus/http1, with a real bridge behind both boxes: each is answered as it must be, and the
# bridge sees the honest ones and nothing that was smuggled behind or within another.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

log=$LAB/bridge/log/nginx-access.log
before=$(wc -l <"$log")
lab_in guest env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/corpus.js" "$JOIN_HOST" \
    "$ROOT"/tests/corpus/http1/*.txt >"$LAB/corpus.json" 2>"$LAB/log/guest-corpus.log"
at_least "cases played" "$(wc -l <"$LAB/corpus.json")" 200
while IFS=$'\t' read -r name got expected; do
    is "$name" "$got" "$expected"
done < <(jq -r '[.name, (.got | tojson), (.expected | tojson)] | @tsv' "$LAB/corpus.json")
check "an honest request behind all of them" guest_gets_through
reached=$(tail -n +$((before + 1)) "$log" | grep -v '"HEAD / HTTP/1.1"') # core's probes
is "requests smuggled to the bridge" "$(grep -c smuggled <<<"$reached")" 0
# nginx writes no line with 000 or 400 for what it could not read; what it could not read must not have come.
is "requests that the bridge could not read" "$(grep -cE '" (400|000) ' <<<"$reached")" 0
at_most "requests that the bridge saw" "$(grep -c . <<<"$reached")" "$(($(jq -s 'map(.core) | add' "$LAB/corpus.json") + 1))"
tap_done
