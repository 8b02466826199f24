#!/usr/bin/env bash
# Pairing as an administrator does it, and everything that can go wrong with it: bundles that are late, damaged, for another
# box, or used twice; an edge added to a running core and taken out again; boxes one release and more apart. Each failure has
# its words.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_init

# run BOX PROGRAM WORD... : a command; what it says goes to $LAB/tmp/said.
run() {
    local box=$1 program=$2
    shift 2
    lab_in "$box" "$program" "$@" >"$LAB/tmp/said" 2>&1 </dev/null
}
core() { run core "$CORE" "$@" --dir "$RUN/core"; }
# join BUNDLE FOLDER OPTION... : on the edge.
join() {
    local bundle=$1 folder=$2
    shift 2
    run edge "$EDGE" join "$bundle" --dir "$RUN/$folder" "$@"
}
said() { grep -qF -- "$1" "$LAB/tmp/said" || { diag "it said: $(cat "$LAB/tmp/said")"; false; }; }
# refuses WHAT WORDS COMMAND... : it fails, and says so.
refuses() {
    local what=$1 words=$2
    shift 2
    refute "refused: $what" "$@"
    check "with words: $words" said "$words"
}
says() { "$1_status" --json | jq -e "$2" >/dev/null; }
log() { grep -qF -- "$2" "$LAB/log/$1-$1.log"; }
edges() { lab_in core "$CORE" edge list --json --dir "$RUN/core" | jq -e ".items | $1" >/dev/null; }

check "init says how core starts from a folder of its own" grep -qFx "Then start core: stile-core run --dir $RUN/core" "$LAB/log/core-init.log"
refuses "an option that is cut short" "'--passphrase' is no option; there is '--passphrase-file'" \
    core init --join-url "https://$JOIN_HOST" --core core1 --edge edge1=203.0.113.10 --passphrase --force

# Bundles that join refuses -------------------------------------------------------------------------------------

bundle=$RUN/core/edge1.bundle
cp "$bundle" "$LAB/tmp/edge1.bundle"
copy=$LAB/tmp/copy.bundle
head -c 900 "$bundle" >"$copy"
refuses "half a bundle" "damaged on its way; copy it again from core" join "$copy" other
sed 's/ssh_port\|join_url/join_uri/' "$bundle" >"$copy"
refuses "a bundle in which something was changed" "damaged on its way" join "$copy" other
sed 's/"stile_bundle": 2/"stile_bundle": 3/' "$bundle" >"$copy"
refuses "one of a newer core" "update this edge, then make a new one" join "$copy" other
refuses "one for another edge" 'made for edge "edge1", not for "edge7"' join "$bundle" other --name edge7
refuses "on the core itself" "this is a core's folder" run edge "$EDGE" join "$bundle" --dir "$RUN/core"
refuses "where a box has joined" "this box has joined already; --force replaces it" join "$bundle" edge
# forged FILTER: the bundle as core would have made it at another time.
forged() {
    jq "del(.check) | $1" "$bundle" >"$LAB/tmp/forged.json"
    jq --arg check "$(jq -cSj . "$LAB/tmp/forged.json" | sha256sum | cut -d' ' -f1)" '.check = $check' "$LAB/tmp/forged.json" >"$copy"
}
forged '.expires = 1795000000'
refuses "an expired one, or a clock that is wrong" "expired at 2026-11-18 11:06 UTC, and this box's clock says" join "$copy" other
check "with what to do" said "make a new bundle on core: stile-core edge renew edge1; else set the clock"
forged '.created = 4000000000 | .expires = 4000600000'
refuses "one that is made in the future" "made in the future" join "$copy" other
check "with what to do about it" said "the clocks of the two boxes differ: set the wrong one"
forged '.protocol = 4 | .version = "0.3.0"'
refuses "one of a core two releases ahead" "the core is of version 0.3.0 (control protocol 4)" join "$copy" other
check "with what to update" said "more than one release apart; update the edge"
refute "none of them has left anything" test -e "$RUN/other/stile.json"

# The first tunnel ----------------------------------------------------------------------------------------------

check "the bundle waits" edges '.[0].pairing == "waiting" and .[0].bundle.file != ""'
before=$(ssh-keygen -lf "$RUN/edge/ssh_host_ed25519_key" | cut -d' ' -f2)
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through
check "with the first tunnel the two are paired" wait_for 5 "the pairing" edges '.[0].pairing == "paired"'
after=$(ssh-keygen -lf "$RUN/edge/ssh_host_ed25519_key" | cut -d' ' -f2)
check "the edge has a host key that it made itself" test "$before" != "$after"
check "core knows it" edges ".[0].host_key == \"$after\""
refute "core's copy of the bundle is gone" test -e "$bundle"
check "and so says core's log" log core 'event="Edge Paired" edge=edge1'
is "stile.json is as init wrote it" "$(jq .revision "$RUN/core/stile.json")" 1
lab_stop core core
core_start
check "core comes back with the new key" wait_for 10 "the tunnels" edges '.[0].tunnels_active == 2'

# The same bundle again, on another box -------------------------------------------------------------------------

lab_stop edge edge
check "another box joins with a copy of the bundle" join "$LAB/tmp/edge1.bundle" thief --cert "$LAB/edge1.pem" --key "$LAB/edge1.key"
lab_spawn edge thief "$EDGE" run --dir "$RUN/thief"
check "core does not take it" wait_for 10 "the words" says core \
    '[.tunnels[] | .reason | contains("joined with a bundle of edge1 that counts no longer")] == [true, true]'
check "and says what to do" says core 'all(.tunnels[]; .reason | contains("stile-core edge renew edge1"))'
check "as an event" log core 'joined with a bundle of edge1 that counts no longer'
refute "guests do not get through it" guest_gets_through
lab_stop edge thief

# A new bundle for a box that was set up anew; encrypted
echo 'open sesame, please' >"$RUN/passphrase"
chmod 600 "$RUN/passphrase"
check "a new bundle, encrypted" core edge renew edge1 --expires 24h --passphrase-file "$RUN/passphrase"
check "core says where it lies" said "$RUN/core/edge1.bundle: copy it to edge edge1"
refute "and no revision, as the config is as it was" grep -q revision "$LAB/tmp/said"
refute "and nothing of what is in it" grep -qE 'PRIVATE KEY|turn_nonce_key|sesame' "$LAB/tmp/said"
refute "the bundle shows no secret" grep -qE 'PRIVATE KEY|nonce_key|'"$TURN_PASSWORD" "$RUN/core/edge1.bundle"
echo 'open barley' >"$RUN/wrong"
chmod 600 "$RUN/wrong"
refuses "another passphrase" "this is not its passphrase" join "$RUN/core/edge1.bundle" anew --passphrase-file "$RUN/wrong"
check "the box set up anew joins" join "$RUN/core/edge1.bundle" anew --passphrase-file "$RUN/passphrase" \
    --cert "$LAB/edge1.pem" --key "$LAB/edge1.key"
edge_start
check "what there was goes on until it is seen" wait_for 15 "the old box" guest_gets_through
lab_stop edge edge
lab_spawn edge anew "$EDGE" run --dir "$RUN/anew"
check "the new one takes its place" wait_for 30 "service" guest_gets_through
check "and is paired" wait_for 5 "the pairing" edges '.[0].pairing == "paired"'
lab_stop edge anew
edge_start
check "then the old one counts no longer" wait_for 30 "the words" says core 'all(.tunnels[]; .reason | contains("that edge1 had earlier"))'
lab_stop edge edge
lab_spawn edge edge "$EDGE" run --dir "$RUN/anew"
need 30 "service" guest_gets_through

# One more edge on a running core -------------------------------------------------------------------------------

need 30 "both tunnels of the first one" edges '.[0].tunnels_active == 2'
# The second edge lives on the same box, on other ports.
lab_in fwin nft add rule inet stile from_core tcp dport 2299 accept
lab_in fwout nft add rule inet stile to_edge tcp dport 8443 accept
jq '.edges[0].web_workers = 2' "$RUN/core/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/core/stile.json"
check "an edge is added" core edge add "edge2=$EDGE_INNER:2299,public=$EDGE_PUBLIC,https_port=8443,http_port=0,turn_udp_port=3499,turn_tcp_port=3499,turn_tls_port=0"
check "the rest of stile.json is as it was" test \
    "$(jq -c 'del(.edges[1]) | del(.revision)' "$RUN/core/stile.json")" = "$(jq -c 'del(.revision)' "$LAB/tmp/stile.json")"
check "core dials it at once" edges '.[1].tunnels == 2 and .[1].pairing == "waiting"'
check "the first one's tunnels have not noticed" edges '.[0].tunnels_active == 2'
refuses "an edge of that name" 'there is a box named "edge2" already' core edge add edge2=192.0.2.9
refuses "a wrong key of an edge" 'edges[2].tea: unknown key' core edge add edge9=192.0.2.9,tea=1
refuses "a bundle that lives for seconds" "a bundle lives for 60 seconds to 90 days" core edge add edge9=192.0.2.9 --expires 5
is "nothing of them is left in stile.json" "$(jq -c '[.edges[].name]' "$RUN/core/stile.json")" '["edge1","edge2"]'
refuses "keys while a bundle waits" "a bundle of edge2 is not used yet" core key rotate

# Its bundle where it does not belong: the box at edge2's address is edge1
cp -r "$RUN/anew" "$RUN/mixed"
jq '.edges[0].ssh_port = 2299 | .edges[0].https_port = 8443 | .edges[0].http_port = 0 | .turn.enabled = false' \
    "$RUN/anew/stile.json" >"$RUN/mixed/stile.json"
chown -R 64711:64711 "$RUN/mixed"
lab_spawn edge mixed "$EDGE" run --dir "$RUN/mixed" --run-dir "$RUN/mixed/run"
check "core finds out whose box that is" wait_for 30 "the words" says core \
    'any(.tunnels[]; .edge == "edge2" and (.reason | contains("the box there is edge1, not edge2: were their bundles, or their addresses in stile.json, mixed up?")))'
lab_stop edge mixed

check "the edge joins with its bundle" join "$RUN/core/edge2.bundle" edge2 --name edge2 --cert "$LAB/edge1.pem" --key "$LAB/edge1.key"
lab_spawn edge edge2 "$EDGE" run --dir "$RUN/edge2"
check "and is paired" wait_for 40 "the pairing" edges '.[1].pairing == "paired" and .[1].tunnels_active == 2'
check "guests get through it" wait_for 5 "a request" guest_curl -f -o /dev/null --connect-to "$JOIN_HOST:443:$EDGE_PUBLIC:8443" "https://$JOIN_HOST/bulk/hello"
check "edge list shows both to people" sh -c \
    "ip netns exec '$(lab_ns core)' '$CORE' edge list --dir '$RUN/core' | grep -ci ' paired ' | grep -qx 2"

check "an edge is removed" core edge remove edge2
check "with a word on what it still knows" said "stile-core key rotate --secrets"
check "its tunnels end" wait_for 40 "their end" edges 'length == 1'
check "and their workers" wait_for 40 "their end" says core '[.tunnels[].edge] == ["edge1", "edge1"]'
refuses "the only edge" "edge1 is the only edge" core edge remove edge1
refuses "one that is not there" 'there is no edge named "edge2"' core edge remove edge2
lab_stop edge edge2
check "guests have not noticed" guest_gets_through

# Without a running core the files are changed
lab_stop core core
check "an edge is added while core does not run" core edge add edge3=$EDGE_INNER:2298
check "list shows it" edges '[.[].name] == ["edge1", "edge3"]'
check "it is removed again" core edge remove edge3
is "the revision has counted all of it" "$(jq .revision "$RUN/core/stile.json")" 5
tap_done
