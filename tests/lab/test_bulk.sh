#!/usr/bin/env bash
# Bodies of 1 GiB through both boxes in each direction arrive whole, with little memory; a guest that stops reading, and
# a bridge that stops reading, hold the sender back and nobody in between piles anything up.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/memory.sh
. "$ROOT/tests/lab/memory.sh"

GIB=1073741824
STALL=20
URL=https://$JOIN_HOST/bulk

# The fixed pseudo-random stream that bulk.js sends as well.
stream() {
    head -c "$1" /dev/zero |
        openssl enc -aes-128-ctr -K 00000000000000000000000000000000 -iv 00000000000000000000000000000000
}

download() { guest_curl -f --max-time 120 "$URL/data?bytes=$1"; }

# upload BYTES PATH : of a length that is said beforehand; prints what the bridge got.
upload() {
    stream "$1" | guest_curl -f --max-time 120 -T - -H "Transfer-Encoding:" -H "Content-Length: $1" "$URL/$2"
}

upload_chunked() { stream "$1" | guest_curl -f --max-time 120 -T - "$URL/$2"; }

sum() { sha256sum | cut -d ' ' -f 1; }

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# A megabyte each way first: what is measured later is not the first use of the code.
is "1 MiB down" "$(download 1048576 | sum)" "$(stream 1048576 | sum)"
is "1 MiB up, chunked" "$(upload_chunked 1048576 sum)" "$(stream 1048576 | sum) 1048576"

# Both stalls at once.
stalled=$((64 * 1048576))
wanted=$(stream $stalled | sum)
edge_before=$(box_memory edge "$EDGE")
core_before=$(box_memory core "$CORE")
memory_watch edge-stall edge "$EDGE"
memory_watch core-stall core "$CORE"
download $stalled 2>"$LAB/log/guest-stall.log" |
    (head -c 65536 && sleep $STALL && cat) | sum >"$LAB/tmp/stalled-down" &
down=$!
upload $stalled "slow?pause=$STALL" >"$LAB/tmp/stalled-up" 2>>"$LAB/log/guest-stall.log" &
up=$!
sleep $((STALL / 2))
check "while both stall, others are served" guest_gets_through
wait $down $up
at_most "edge: KiB grown while a guest and the bridge did not read" \
    $(($(memory_peak edge-stall) - edge_before)) 8192
at_most "core: KiB grown while a guest and the bridge did not read" \
    $(($(memory_peak core-stall) - core_before)) 8192
is "the stalled download arrived whole" "$(cat "$LAB/tmp/stalled-down")" "$wanted"
is "the stalled upload arrived whole" "$(cat "$LAB/tmp/stalled-up")" "$wanted $stalled"

memory_watch edge-bulk edge "$EDGE"
memory_watch core-bulk core "$CORE"
wanted=$(stream $GIB | sum)
start=$(now_ms)
is "1 GiB down" "$(download $GIB | sum)" "$wanted"
diag "down: $((GIB / 1048 / ($(now_ms) - start))) MB/s"
start=$(now_ms)
is "1 GiB up" "$(upload $GIB sum)" "$wanted $GIB"
diag "up: $((GIB / 1048 / ($(now_ms) - start))) MB/s"
at_most "edge: KiB at most over both" "$(memory_peak edge-bulk)" 65536
at_most "core: KiB at most over both" "$(memory_peak core-bulk)" 65536
check "no flow that is not in the plan" no_drops
tap_done
