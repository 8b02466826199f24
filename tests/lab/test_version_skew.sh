#!/usr/bin/env bash
# Boxes of other releases: one apart works, either way round, in the older one's protocol; more is refused with words on both.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_init

says() { "$1_status" --json | jq -e "$2" >/dev/null; }
log() { grep -qF -- "$2" "$LAB/log/$1-$1.log"; }

# other N: the programs as if N were their control protocol.
other() {
    make -s -C "$ROOT" -j2 BUILD="$BUILD" "$BUILD/protocol$1/stile-core" "$BUILD/protocol$1/stile-edge" \
        >"$LAB/log/make-protocol$1.log" 2>&1 && cp "$BUILD/protocol$1/stile-core" "$RUN/core$1" && cp "$BUILD/protocol$1/stile-edge" "$RUN/edge$1"
}
check "boxes of other releases are built" eval 'other 1 && other 3 && other 4'
protocol() { says core "any(.tunnels[]; .state == \"active\" and .protocol == $1)"; }
# pair CORE EDGE : these programs run.
pair() {
    lab_spawn edge edge "$RUN/$2" run --dir "$RUN/edge"
    lab_spawn core core "$RUN/$1" run --dir "$RUN/core"
}
apart() {
    lab_stop core core
    lab_stop edge edge
}
pair stile-core edge1
check "an edge one release behind works" wait_for 15 "a request" guest_gets_through
check "in the older one's protocol" protocol 1
lab_in core "$CORE" key rotate --dir "$RUN/core" >"$LAB/tmp/said" 2>&1
check "what it cannot do is not begun" grep -qF "a bundle of edge1 is not used yet" "$LAB/tmp/said"
apart
pair stile-core edge3
check "an edge one release ahead works" wait_for 15 "a request" guest_gets_through
check "in the older one's protocol" protocol 2
apart
pair core1 stile-edge
check "a core one release behind works" wait_for 15 "a request" guest_gets_through
apart
pair stile-core edge4
check "two releases apart: core says so" wait_for 15 "the words" says core \
    'any(.tunnels[]; .reason | contains("(control protocol 2), the edge of 0.1.0 (4): more than one release apart; update the core"))'
check "and the edge" wait_for 5 "the words" log edge "more than one release apart; update the core"
apart
pair core1 edge3
check "the other way round, too" wait_for 15 "the words" log core "more than one release apart; update the core"
apart
tap_done
