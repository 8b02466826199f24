#!/usr/bin/env bash
# More users at one time than the edge can count: new ones are refused with words, an alarm says so, those who have a relay go on;
# when the users have gone there is room again, and the alarm is over.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

PROBES=3 EACH=16000 # a process may have 20 000 descriptors on a plain Debian
lab_up
lab_ca
pair_init
SECRET="a secret for credentials that end"
jq '.turn += {relay_ports: [10000, 65535], user_quota: 5, address_quota: 0, total_quota: 0, challenge_limit: 1000000} |
    .edges[0].turn_workers = 4' "$RUN/edge/stile.json" >"$LAB/tmp/edit.json" && cat "$LAB/tmp/edit.json" >"$RUN/edge/stile.json"
jq --arg secret "$SECRET" '.turn_shared_secrets = [$secret]' "$RUN/edge/secrets.json" >"$LAB/tmp/edit.json" &&
    cat "$LAB/tmp/edit.json" >"$RUN/edge/secrets.json"
rm "$LAB/tmp/edit.json"
lab_in guest sysctl -qw net.ipv4.ip_local_port_range="1024 65535"
edge_start
probe() { lab_in guest "$BUILD/tests/lab/turn_probe" server=$EDGE_PUBLIC:3478 "secret=$SECRET" "$@"; }
gets_relay() { probe user=probe | grep '^relayed' >/dev/null; }
need 10 "the TURN server" gets_relay

alarms() { lab_in edge "$EDGE" alarm list "$@" --json --dir "$RUN/edge"; }
has() { alarms | jq -e 'any(.items[]; .number == 405)'; }
over() { ! has && alarms --all | jq -e 'any(.items[]; .number == 405 and .state == "cleared")'; }
refute "nobody is refused yet" has

mkfifo "$LAB/tmp/hold"
exec 8<>"$LAB/tmp/hold"
for i in $(seq $PROBES); do
    probe user="crowd$i-" allocations=$EACH hold=1 <"$LAB/tmp/hold" >"$LAB/tmp/crowd$i" 8>&- &
done
answered() { [ "$(cat "$LAB"/tmp/crowd* | wc -l)" = $((PROBES * EACH)) ]; }
need 120 "all of the crowd to be answered" answered
cat "$LAB"/tmp/crowd* | cut -d' ' -f1-2 | sed 's/relayed .*/relayed/' | sort | uniq -c >"$LAB/tmp/counts"
relayed=$(awk '$2 == "relayed" { print $1 }' "$LAB/tmp/counts")
diag "$(tr -s ' \n' ' ' <"$LAB/tmp/counts")"
at_least "tens of thousands are counted at one time" "$relayed" 25000
is "the others are refused: 486 (Allocation Quota Reached), and nothing else" \
    "$(awk '$2 != "relayed" { print $2, $3 }' "$LAB/tmp/counts")" "error 486"
check "alarm 405 says so" wait_for 5 "alarm 405" has
check "and the event, with what to do" grep -E 'event="Relay Limit Reached".*limit="users and addresses".*remedy="' "$LAB/log/edge-edge.log"
exec 8>&-
: >"$LAB/tmp/hold" & # its readers see the end
wait
check "the alarm is over when they have gone" wait_for 60 "the end of alarm 405" over
check "and there is room" gets_relay
tap_done
