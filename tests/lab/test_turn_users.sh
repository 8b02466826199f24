#!/usr/bin/env bash
# Users, credentials that end, and TURN settings change on a running edge; coturn's client sees it at once, and calls that
# are going on lose nothing.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

ECHO_PEER=192.0.2.1
LONG=400 # messages of a call that goes on while something changes; 20 ms each

edge_do() { lab_in edge "$EDGE" "$@" --dir "$RUN/edge"; }

# settings FILTER : changes stile.json of the edge with jq.
settings() {
    jq "$1" "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
}

secrets() {
    jq "$1" "$RUN/edge/secrets.json" >"$LAB/tmp/secrets.json" && cat "$LAB/tmp/secrets.json" >"$RUN/edge/secrets.json"
}

# client NAME USER PASSWORD [OPTION...] : a call to the peer; its exit status goes to NAME.status.
client() {
    local name=$1 user=$2 password=$3
    shift 3
    lab_in guest timeout 60 turnutils_uclient -c -u "$user" -w "$password" -m 1 -l 100 -e $ECHO_PEER "$@" "$EDGE_PUBLIC" \
        >"$LAB/log/guest-client-$name.log" 2>&1
    echo $? >"$LAB/tmp/$name.status"
}

call_whole() { grep -qF 'Total lost packets 0 (0.000000%), total send dropped 0' "$LAB/log/guest-client-$1.log"; }

# works WHAT USER PASSWORD, refused WHAT USER PASSWORD : whether these credentials get a relay and media.
works() {
    client "$4" "$2" "$3" -n 5
    check "$1" call_whole "$4"
}

refused() {
    client "$4" "$2" "$3" -n 5
    check "$1" grep -q 'Cannot complete Allocation' "$LAB/log/guest-client-$4.log"
}

# bound USER : relays with a channel that this user has; the client leaves some behind.
bound() {
    edge_status --json | jq --arg user "${1##*:}" '[.relays[] | select((.user | endswith($user)) and (.channels | length > 0))] | length'
}

more_bound() { [ "$(bound "$1")" -gt "$2" ]; }

# long_call NAME USER PASSWORD : a call in the background; returns when it has its relay and a channel.
long_call() {
    local before
    before=$(bound "$2")
    client "$@" -n $LONG &
    need 15 "the relay of $2" more_bound "$2" "$before"
}

# ended NAME WHAT : waits for a long call, which must have lost nothing.
ended() {
    wait
    check "$2" call_whole "$1"
}

# token VARIABLE NAME : credentials that end, as USER and PASSWORD of that variable's name.
token() {
    local json
    json=$(edge_do user token "$2" --ttl 600 --json)
    printf -v "$1_USER" %s "$(jq -r .username <<<"$json")"
    printf -v "$1_PASSWORD" %s "$(jq -r .password <<<"$json")"
}

logged() { grep -q "$1" "$LAB/log/edge-edge.log"; }

lab_up
lab_ca
pair_init

# Before the edge runs ------------------------------------------------------------------------------------------

check "a user is added while the edge does not run" edge_do user add early --password-stdin <<<early-pass
is "the database belongs to the daemon's account, to it alone" "$(stat -c '%u %a' "$RUN/edge/state/stile.db")" "64711 600"
is "nothing of root's is left in the folder" "$(find "$RUN/edge" -user root | wc -l)" 0
settings ".turn.allow_peers += [\"$ECHO_PEER/32\"] | .turn.channel_numbers = \"rfc5766\""
lab_spawn fwin peer turnutils_peer -L "$ECHO_PEER" -p 3480
edge_start
need 10 "the edge" edge_do user list
need 5 "the relay" tcp_open guest "$EDGE_PUBLIC" 3478
need 5 "the echoing peer" lab_in fwin sh -c "ss -Hlnu src $ECHO_PEER | grep -q :3480"
works "and counts when it starts" early early-pass early

# Users ---------------------------------------------------------------------------------------------------------

is "a user is added" "$(edge_do user add "o'neil %s" --json <<<anna-pass | jq -r '.done | type')" string
works "and has a call at once" "o'neil %s" anna-pass added
refused "a wrong password has none" "o'neil %s" wrong wrong
refute "a second one of that name is refused" edge_do user add early <<<other
refute "a name with a colon is refused" edge_do user add 1:2 <<<other
refute "a user of secrets.json is not changed here" edge_do user disable "$TURN_USER"
refute "nobody but root and the daemon's account may ask" lab_in edge setpriv --reuid 65534 --clear-groups \
    "$EDGE" user list --dir "$RUN/edge"

long_call going early early-pass
check "a user is disabled while a call of theirs goes on" edge_do user disable early
refused "and gets no new relay" early early-pass disabled
ended going "the call lost nothing"
check "enabled again" edge_do user enable early
works "they call again" early early-pass enabled
check "with another password" edge_do user password early <<<second-pass
works "that one counts" early second-pass second
refused "the old one does not" early early-pass former
check "a user is removed" edge_do user remove early
refused "and is unknown" early second-pass removed
is "list knows who is left" "$(edge_do user list --json | jq -r '[.items[] | .name + "=" + .state] | join(" ")')" \
    "$TURN_USER=enabled o'neil %s=enabled"
check "no password is in the database" sh -c "! grep -aqF anna-pass $RUN/edge/state/stile.db*"

# Credentials that end, and another secret ------------------------------------------------------------------------

token OLD guest7
works "credentials that end work" "$OLD_USER" "$OLD_PASSWORD" token
refused "with another time they do not" "9${OLD_USER}" "$OLD_PASSWORD" longer
long_call rotation "$OLD_USER" "$OLD_PASSWORD"
secrets '.turn_shared_secrets |= ["a new secret of the lab"] + .'
check "a secret is put in front" edge_do reload
token NEW guest7
refute "the new secret makes other credentials" [ "$NEW_PASSWORD" = "$OLD_PASSWORD" ]
works "those of the new secret count" "$NEW_USER" "$NEW_PASSWORD" new
works "those of the old one still do" "$OLD_USER" "$OLD_PASSWORD" old
secrets '.turn_shared_secrets |= [first]'
check "the old secret is removed" edge_do reload
refused "its credentials get no new relay" "$OLD_USER" "$OLD_PASSWORD" withdrawn
works "those of the new one do" "$NEW_USER" "$NEW_PASSWORD" stays
ended rotation "the call that went on meanwhile lost nothing"

# Settings --------------------------------------------------------------------------------------------------------

long_call denied "$TURN_USER" "$TURN_PASSWORD"
settings ".turn.deny_peers = [\"$ECHO_PEER/32\"] | .turn.udp_port = 3479"
edge_do reload >"$LAB/tmp/reload" 2>&1
check "the key that waits for a restart is named" grep -qx 'waiting for a restart: turn.udp_port' "$LAB/tmp/reload"
client forbidden "$TURN_USER" "$TURN_PASSWORD" -n 5
check "a peer that is denied gets no new permission" grep -q 'error 403' "$LAB/log/guest-client-forbidden.log"
ended denied "the call that had one goes on and loses nothing"

settings '.turn.deny_peers = [] | .turn.user_quota = -1'
refute "a reload with an error fails" edge_do reload
edge_do reload 2>"$LAB/tmp/reload"
line=$(grep -n user_quota "$RUN/edge/stile.json" | cut -d: -f1)
check "and names file, line and key" grep -qF "stile.json:$line: turn.user_quota: -1 is not" "$LAB/tmp/reload"
settings '.turn.user_quota = 0 | .turn.allow_peers += ["127.0.0.0/8"]'
edge_do reload 2>"$LAB/tmp/reload"
check "so does one that only the relay can judge" grep -qE 'stile.json:[0-9]+: turn.allow_peers: 127.0.0.0/8 lies in' "$LAB/tmp/reload"
client still "$TURN_USER" "$TURN_PASSWORD" -n 5
check "and nothing has changed" grep -q 'error 403' "$LAB/log/guest-client-still.log"

# A worker that is started again has all of it.
edge_status --json | jq -r '.workers[] | select(.worker | startswith("turn")) | .pid' >"$LAB/tmp/pids"
xargs kill -KILL <"$LAB/tmp/pids"
workers_are_back() {
    edge_status --json | jq -e --slurpfile old "$LAB/tmp/pids" \
        '[.workers[] | select(.worker | startswith("turn")) | .pid] as $now | ($now - $old | length) == ($old | length)
            and all($now[]; . > 0) and (.turn | length) == ($old | length)'
}
need 10 "the workers to be started again" workers_are_back
client again "$TURN_USER" "$TURN_PASSWORD" -n 5
check "workers that are started again deny the peer" grep -q 'error 403' "$LAB/log/guest-client-again.log"
settings '.turn.allow_peers -= ["127.0.0.0/8"]'
kill -HUP "$(lab_in edge sh -c "ss -Hxlp src $RUN/edge/run/edge.sock" | sed -nE 's/.*pid=([0-9]+).*/\1/p' | head -n 1)"
wait_for 5 "the reload by SIGHUP" sh -c "[ \$(grep -c 'Config Reloaded' $LAB/log/edge-edge.log) = 4 ]"
works "SIGHUP lets the peer in again; a user who was added before the crash calls" "o'neil %s" anna-pass hangup
check "what was refused is an event" logged 'event="Reload Refused"'
refute "no password and no secret is in the log" grep -qE 'anna-pass|a new secret' "$LAB/log/edge-edge.log"

# The database breaks -------------------------------------------------------------------------------------------

settings '.turn.udp_port = 3478'
lab_stop edge edge
head -c 8192 /dev/urandom >"$RUN/edge/state/stile.db"
edge_start
need 10 "the edge" edge_status
works "without its database the edge serves the users of secrets.json" "$TURN_USER" "$TURN_PASSWORD" damaged
edge_status >"$LAB/tmp/status"
check "status says what is wrong and what to do" grep -q 'Database of users: .*damaged.*backup' "$LAB/tmp/status"
refute "a change is refused" edge_do user add late <<<late-pass
rm -f "$RUN"/edge/state/stile.db*
check "once it is repaired, the next change is made" edge_do user add late <<<late-pass
works "and counts at once" late late-pass late
tap_done
