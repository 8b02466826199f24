#!/usr/bin/env bash
# The config of a running pair: wrong ones of every kind are refused with file, line and key, and the pair goes on; right ones
# are taken over by core and edge, written to the edge's file, kept in the history, rolled back; what one edge refuses
# happens nowhere; who was away catches up.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_init
# Until it is their turn, changed files wait for a reload.
for box in core edge; do
    jq '.reload_on_change = false' "$RUN/$box/stile.json" >"$LAB/tmp/edit.json" && cat "$LAB/tmp/edit.json" >"$RUN/$box/stile.json"
done
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

says() { "$1_status" --json | jq -e "$2" >/dev/null; }
config() { lab_in core "$CORE" config "$@" --dir "$RUN/core"; }
reload() { lab_in core "$CORE" reload --dir "$RUN/core"; }
FILE=$RUN/core/stile.json

# edit JQ : changes core's file in place, under the next revision unless it names one; owner and mode stay.
edit() { jq ".revision += 1 | $1" "$FILE" >"$LAB/tmp/edit.json" && cat "$LAB/tmp/edit.json" >"$FILE"; }

# A change that is right -----------------------------------------------------------------------------------------

edit '.turn.user_quota = 7 | .web_proxy.hsts = 60'
check "check finds it right" config check
check "and has changed nothing" says core '.revision == 1'
config diff >"$LAB/tmp/diff"
is "diff: different" $? 1
check "diff shows it" grep -qx '+  "revision": 2,' "$LAB/tmp/diff"
reload >"$LAB/tmp/reloaded"
is "core takes it over" $? 0
check "and the edge" grep -qx "edge edge1: committed" "$LAB/tmp/reloaded"
check "both say so" wait_for 5 "revision 2" says edge '.config_revision == 2 and .config_from == "core1" and .waits_for_restart == []'
check "core knows of it" wait_for 5 "the edge's revision" says core 'all(.tunnels[]; .config_revision == 2 and .revision_acked == 2)'
is "the edge's file is core's" "$(cmp "$FILE" "$RUN/edge/stile.json" && echo same)" same
is "it runs with it" "$(lab_in edge "$EDGE" config show --dir "$RUN/edge" | jq -c '[.turn.user_quota, .web_proxy.hsts, .turn.tls_port]')" "[7,60,5349]"
is "diff: the same" "$(config diff; echo $?)" 0
is "for programs" "$(config diff --json | jq -c .)" '{"same":true,"diff":""}'
check "no secret is shown" sh -c "! { '$CORE' config show --json --dir '$RUN/core'; '$EDGE' config show --json --dir '$RUN/edge'; } |
    grep -F -e '$TURN_PASSWORD' -e PRIVATE -e turn_nonce_key"

# Wrong ones -----------------------------------------------------------------------------------------------------

lab_spawn guest load env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/reload_guest.js" "$JOIN_HOST"
need 20 "the guests" grep -qx begun "$LAB/log/guest-load.log"
KEPT=(stile.json secrets.json core_ed25519 identity)
mkdir "$LAB/tmp/right"
(cd "$RUN/core" && cp -p "${KEPT[@]}" "$LAB/tmp/right")
restore() { (cd "$LAB/tmp/right" && cp -p --remove-destination "${KEPT[@]}" "$RUN/core"); }
before=$(core_status --json | jq -c '[.workers[].pid]')
cases=0
while IFS=$'\t' read -r name change key words line; do
    cases=$((cases + 1))
    if [ "${change#sh:}" != "$change" ]; then
        (cd "$RUN/core" && eval "${change#sh:}")
    else
        jq ".revision = 3 | $change" "$LAB/tmp/right/stile.json" >"$LAB/tmp/edit.json" && cat "$LAB/tmp/edit.json" >"$FILE"
    fi
    reload >"$LAB/tmp/said" 2>&1
    status=$?
    problem=
    number=$(sed -nE 's/^[^:]*: [^ ]*\.json:([0-9]+): .*/\1/p' "$LAB/tmp/said")
    [ $status = 1 ] || problem="exit status $status"
    grep -qF -- "$words" "$LAB/tmp/said" || problem="does not say: $words"
    grep -q 'nothing was changed$' "$LAB/tmp/said" || problem="not refused as a whole"
    [ "$key" = - ] || grep -qF -- ": $key: " "$LAB/tmp/said" || problem="does not name $key"
    [ "$line" = - ] || sed -n "${number:-0}p" "$FILE" 2>/dev/null | grep -F -- "$line" >/dev/null || problem="line ${number:-none} has no $line"
    is "refused: $name" "$problem" ""
    [ -z "$problem" ] || diag "$(cat "$LAB/tmp/said")"
    restore
done <"$ROOT/tests/corpus/config/wrong.txt"
at_least "wrong configs" "$cases" 50
check "nothing has changed on either box" sh -c "[ '$(core_status --json | jq .revision) $(edge_status --json | jq .config_revision)' = '2 2' ]"
is "nor among the workers" "$(core_status --json | jq -c '[.workers[].pid]')" "$before"
lab_stop guest load
figures=$(tail -n 1 "$LAB/log/guest-load.log")
diag "$figures"
is "guests noticed nothing" "$(jq -c '[.requests - .answered, .failed, .closed, .wrong]' <<<"$figures")" "[0,[],[],0]"

# Nowhere ----------------------------------------------------------------------------------------------------------

# What an edge alone can know: the address that it has for its relays is gone.
ip -n "$(lab_ns edge)" address delete "$EDGE_PUBLIC/24" dev outer
edit '.turn.user_quota = 8'
reload >"$LAB/tmp/said" 2>&1
is "what an edge refuses is refused" $? 1
check "with its reason" grep -q 'edge edge1: turn: relays: .*nothing was changed$' "$LAB/tmp/said"
check "and happens nowhere" sh -c "[ '$(core_status --json | jq .revision) $(edge_status --json | jq .config_revision)' = '2 2' ]"
ip -n "$(lab_ns edge)" address add "$EDGE_PUBLIC/24" dev outer
ip -n "$(lab_ns edge)" route add default via 203.0.113.1

# Away -------------------------------------------------------------------------------------------------------------

lab_stop edge edge
reload >"$LAB/tmp/said" 2>&1
is "without the edge the change is taken over" $? 0
check "it is said to be away" grep -q '^edge edge1: away' "$LAB/tmp/said"
edge_start
check "when it is back it has it" wait_for 10 "revision 3 on the edge" says edge '.config_revision == 3'
is "also in its file" "$(jq -c '[.revision, .turn.user_quota]' "$RUN/edge/stile.json")" "[3,8]"

# What waits for a restart ------------------------------------------------------------------------------------------

edit '.turn.relay_ports = [25000, 26000] | .web_proxy.methods = ["GET", "HEAD"]'
config check >"$LAB/tmp/said"
check "check names what would wait" grep -qx 'would wait for a restart: edge1: turn.relay_ports' "$LAB/tmp/said"
reload >"$LAB/tmp/said"
check "reload what waits" grep -qx 'waiting for a restart: edge1: turn.relay_ports' "$LAB/tmp/said"
check "so does the edge" says edge '.waits_for_restart == ["turn.relay_ports"]'
check "guests have the other rules" wait_for 5 "a refusal" sh -c \
    "[ \$(ip netns exec '$(lab_ns guest)' curl -s --cacert '$LAB/ca/ca.pem' -o /dev/null -w '%{http_code}' -X PUT 'https://$JOIN_HOST/bulk/hello') = 403 ]"

# History ----------------------------------------------------------------------------------------------------------

SUDO_USER=alice config rollback 2 >"$LAB/tmp/said" 2>&1
is "a rollback" $? 0
is "the file is what it was, under the next revision" "$(jq -cS 'del(.revision)' "$FILE")" "$(jq -cS 'del(.revision)' "$LAB/tmp/right/stile.json")"
is "which is" "$(jq .revision "$FILE")" 5
check "the edge has it" wait_for 5 "revision 5 on the edge" says edge '.config_revision == 5'
is "history: revisions" "$(config history --json | jq -c '[.items[].revision]')" "[5,4,3,2,1]"
is "history: who" "$(config history --json | jq -r '.items[0].by, .items[4].by')" $'alice (sudo), back to 2\nfile'
is "history: what" "$(config history --json | jq -r '.items[1].summary | split(", ") | sort | join(" ")')" "turn.relay_ports web_proxy.methods"
is "a revision as it was written" "$(config history 2)" "$(cat "$LAB/tmp/right/stile.json")"
refute "one that is not kept" config rollback 99

# By itself --------------------------------------------------------------------------------------------------------

edit '.reload_on_change = true'
check "core shall take files over by itself" reload
edit '.turn.user_quota = 9'
check "a changed file is taken over by itself" wait_for 20 "revision 7" says edge '.config_revision == 7'
is "history says so" "$(config history --json | jq -r '.items[0].by')" file
edit '.turn.user_quota = "many"'
check "a wrong one is refused" wait_for 10 "the refusal" grep -q 'event="Reload Refused" by="file" .*turn.user_quota: ' "$LAB/log/core-core.log"
check "with the wrong value's quotes marked as the text's own" grep -qF 'turn.user_quota: \"many\" is not' "$LAB/log/core-core.log"
check "and an alarm until it is right" says core 'any(.alarms[]; .name == "config_refused")'
edit '.turn.user_quota = 9 | .reload_on_change = false'
check "the next is right" wait_for 10 "revision 9" says edge '.config_revision == 9'
check "and the alarm over" says core 'all(.alarms[]; .name != "config_refused")'
is "core's reload, for programs" "$(lab_in core "$CORE" reload --json --dir "$RUN/core" | jq -c '[.revision, .kept > 0, .type]')" '[9,true,null]'
is "the edge's" "$(lab_in edge "$EDGE" reload --json --dir "$RUN/edge" | jq .revision)" 9
is "DNS asked again, for programs" "$(lab_in core "$CORE" dns flush --json --dir "$RUN/core" | jq '.names | length > 0')" true
is "mode and owner of the file" "$(stat -c '%a %u' "$FILE")" "644 64711"
tap_done
