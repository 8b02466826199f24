#!/usr/bin/env bash
# Every key and secret of the pair replaced while guests have kept connections, WebSockets, a long download, 50 requests a second
# and a call: nobody notices, and the old ones end. Then either box is killed in the middle, and the rotation comes to its end.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

core() { lab_in core "$CORE" "$@" --dir "$RUN/core" >"$LAB/tmp/said" 2>&1 </dev/null; }
said() { grep -qF -- "$1" "$LAB/tmp/said" || { diag "it said: $(cat "$LAB/tmp/said")"; false; }; }
says() { "$1_status" --json | jq -e "$2" >/dev/null; }
log() { grep -qF -- "$2" "$LAB/log/$1-$1.log"; }
phase() { says core ".key_rotation.phase == \"$1\""; }
print_of() { ssh-keygen -lf "$RUN/$1" | cut -d' ' -f2; }
key_show() { lab_in core "$CORE" key show --json --dir "$RUN/core" | jq -e "$1" >/dev/null; }
# keys: what there is now, in one line.
keys() {
    echo "$(print_of core/core_ed25519) $(print_of edge/ssh_host_ed25519_key) $(sha256sum <"$RUN/edge/secrets.json")"
}
accepted() { grep -c '^restrict' "$RUN/edge/run/authorized_keys"; }
# token: credentials that end, made by the edge with its newest secret.
token() { lab_in edge "$EDGE" user token rotated --ttl 600 --json --dir "$RUN/edge" | jq -r '.username + ":" + .password'; }
# allocates TOKEN: a relay is given to who has these.
allocates() {
    lab_in guest timeout 5 turnutils_uclient -v -c -u "${1%:*}" -w "${1##*:}" -n 1 -m 1 -l 20 -e 198.51.100.1 "$EDGE_PUBLIC" \
        >"$LAB/log/guest-allocates.log" 2>&1
    grep -q 'Received relay addr' "$LAB/log/guest-allocates.log"
}

need 5 "the pairing" log core 'event="Edge Paired" edge=edge1'
cp "$RUN/core/core_ed25519" "$LAB/tmp/old_core_key"
chmod 600 "$LAB/tmp/old_core_key"
before=$(keys)
token=$(token)
check "credentials of the old secret work" allocates "$token"

# Under load ----------------------------------------------------------------------------------------------------

lab_spawn guest load env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/reload_guest.js" "$JOIN_HOST"
need 10 "the guests" grep -qx begun "$LAB/log/guest-load.log"
check "a rotation of everything begins" core key rotate --overlap 1h
check "core says so" said "Key rotation (all): spreading"
refute "a second one is refused" core key rotate
check "with words" said "keys are being rotated already"
check "the edge takes it all, and the overlap begins" wait_for 20 "the overlap" phase overlap
check "core has another key" test "$(print_of core/core_ed25519)" != "${before%% *}"
check "the edge has another host key" test "$(print_of edge/ssh_host_ed25519_key)" != "$(cut -d' ' -f2 <<<"$before")"
is "the edge accepts core's old and new key" "$(accepted)" 2
check "two secrets count on both boxes" wait_for 5 "the secrets" \
    test "$(jq -c .turn_shared_secrets "$RUN/core/secrets.json")" = "$(jq -c .turn_shared_secrets "$RUN/edge/secrets.json")" -a \
    "$(jq '.turn_shared_secrets | length' "$RUN/edge/secrets.json")" = 2
check "users with passwords are as they were" jq -e ".turn_users[0].name == \"$TURN_USER\"" "$RUN/edge/secrets.json"
check "tunnels with the new key are up" wait_for 10 "them" says core '[.tunnels[] | select(.state == "active")] | length == 2'
check "old tunnels go on with their WebSockets" says core '[.tunnels[] | select(.state == "leaving")] | length >= 1'
check "credentials of the old secret still work" allocates "$token"
newer=$(token)
check "and those of the new one" allocates "$newer"
check "key show says how it stands" core key show
check "with the end of the overlap" said "overlap until"

lab_stop guest load
figures=$(tail -n 1 "$LAB/log/guest-load.log")
diag "$figures"
is "requests that were not answered" "$(jq -c '[.requests - .answered, .failed]' <<<"$figures")" "[0,[]]"
at_least "requests" "$(jq .requests <<<"$figures")" 20
is "WebSockets opened" "$(jq .opened <<<"$figures")" 20
is "WebSockets closed" "$(jq -c .closed <<<"$figures")" "[]"
is "messages changed" "$(jq .wrong <<<"$figures")" 0
is "the download" "$(jq -r .download <<<"$figures")" whole
check "the last guests gone, the old tunnels end" wait_for 15 "their end" says core 'all(.tunnels[]; .state == "active") and (.tunnels | length == 2)'

# The overlap is an hour; here it is over now
lab_stop core core
jq '.rotation.ends = 1' "$RUN/core/keys.json" >"$LAB/tmp/keys.json" && cat "$LAB/tmp/keys.json" >"$RUN/core/keys.json"
core_start
check "after the overlap the rotation is done" wait_for 20 "its end" phase done
is "the edge accepts the new key alone" "$(accepted)" 1
is "one secret counts" "$(jq '.turn_shared_secrets | length' "$RUN/edge/secrets.json")" 1
refute "credentials of the old secret have ended" allocates "$token"
check "those of the new one have not" allocates "$newer"
refute "core's old key logs in nowhere" lab_in core timeout 8 ssh -F none -i "$LAB/tmp/old_core_key" -p 2222 -o BatchMode=yes \
    -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "stile@$EDGE_INNER" control
check "sshd refused it" wait_for 5 "the refusal" grep -q 'Connection closed by authenticating user stile' "$LAB/log/edge-edge.log"
is "stile.json is as init wrote it" "$(jq .revision "$RUN/core/stile.json")" 1
check "guests get through" wait_for 10 "a request" guest_gets_through

# One edge alone --------------------------------------------------------------------------------------------------

host=$(print_of edge/ssh_host_ed25519_key) key=$(print_of core/core_ed25519)
refute "secrets of one edge alone are refused" core key rotate --edge edge1 --secrets
check "with words" said "secrets are the same on every edge"
refute "so is an edge that is not there" core key rotate --edge edge7
check "with words" said 'there is no edge named "edge7"'
check "one edge's host key alone" core key rotate --edge edge1
check "is replaced" wait_for 20 "its end" phase done
check "it is another one" test "$(print_of edge/ssh_host_ed25519_key)" != "$host"
is "core's key is the same" "$(print_of core/core_ed25519)" "$key"

# An overlap that is ended early ---------------------------------------------------------------------------------

refute "no rotation, nothing to finish" core key finish
check "with words" said "no keys are being rotated"
old_token=$(token)
check "secrets alone, with an overlap of a day" core key rotate --secrets
check "come to their overlap" wait_for 20 "the overlap" phase overlap
check "credentials of the old secret count" allocates "$old_token"
check "the overlap is ended" core key finish
check "the rotation is done" wait_for 20 "its end" phase done
is "one secret counts on the edge" "$(jq '.turn_shared_secrets | length' "$RUN/edge/secrets.json")" 1
refute "credentials of the old secret have ended" allocates "$old_token"
check "a new rotation may begin" core key rotate --secrets
check "finished at once, it has no overlap" core key finish
check "and is done" wait_for 20 "its end" phase done
check "everything" core key rotate --all
check "in its overlap" wait_for 20 "the overlap" phase overlap
check "is finished" core key finish
check "and done" wait_for 20 "its end" phase done
is "one key is accepted" "$(accepted)" 1
check "guests get through" wait_for 15 "a request" guest_gets_through

# Killed in the middle --------------------------------------------------------------------------------------------

# killed BOX WHEN: a rotation in which that box is killed as soon as WHEN holds comes to its end.
killed() {
    local box=$1 what=$2 old
    shift 2
    old=$(keys)
    core key rotate --ssh --overlap 60 || return 1
    wait_for 10 "$what" "$@"
    lab_stop "$box" "$box" KILL
    "${box}_start"
    check "$box killed when $what: the rotation comes to its end" wait_for 60 "its end" phase done
    check "with other keys on both boxes" test "$(print_of core/core_ed25519)" != "${old%% *}" -a \
        "$(print_of edge/ssh_host_ed25519_key)" != "$(cut -d' ' -f2 <<<"$old")"
    is "and one key accepted" "$(accepted)" 1
    refute "nothing is left of it" ls "$RUN"/core/core_ed25519.next "$RUN"/edge/ssh_host_ed25519_key.next 2>/dev/null
    check "guests get through" wait_for 15 "a request" guest_gets_through
}
killed core "it has begun" true
killed edge "it has begun" true
killed core "the edge has its new key" test -e "$RUN/edge/ssh_host_ed25519_key.next" -o "$(print_of edge/ssh_host_ed25519_key)" != "$host"
killed core "core's key is another one" phase overlap
killed edge "core's key is another one" phase overlap

# An edge that is away is waited for
lab_stop edge edge
wait_for 20 "core to notice" says core 'all(.tunnels[]; .state == "failed")'
old=$(keys)
check "a rotation begins while the edge is away" core key rotate --ssh
check "status says whom it waits for" wait_for 5 "the words" sh -c \
    "ip netns exec '$(lab_ns core)' '$CORE' status --dir '$RUN/core' | grep -q 'waits for edge1: it'"
is "nothing has changed meanwhile" "$(keys)" "$old"
edge_start
check "it goes on when the edge is back" wait_for 60 "its end" phase done
check "guests get through" wait_for 15 "a request" guest_gets_through
tap_done
