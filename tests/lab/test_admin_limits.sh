#!/usr/bin/env bash
# Nobody keeps an administrator out of the admin service: not a reader who holds connections, not one who has logged out, not guesses at
# his password from many addresses after a restart. And nobody fills the audit but who changes something.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
pair_init
edge_start

OURS=https://127.0.0.1:445/api/v1
FIRST=$(grep -oE 'user admin, password [^ ]+' "$LAB/log/edge-join.log" | sed 's/.* //')
edge() { lab_in edge "$EDGE" "$@" --dir "$RUN/edge"; }
at() { lab_in edge curl -sk --max-time 10 "$@"; }
login() {
    local user=$1 password=$2
    shift 2
    at -i -H 'Content-Type: application/json' -d "{\"user\":\"$user\",\"password\":\"$password\"}" "$@" "$OURS/session"
}
login_status() { login "$@" | head -1 | cut -d' ' -f2; }
cookie_in() { grep -i '^set-cookie:' | sed -E 's/.*(__Host-stile=[^;]*).*/\1/' | tr -d '\r'; }

need 5 "the admin service" lab_in edge sh -c 'ss -Hlnt | grep -q ":445 "'
echo a-long-enough-one | edge admin user add looker --role reader >/dev/null
writer=$(login admin "$FIRST" | cookie_in)
reader=$(login looker a-long-enough-one | cookie_in)
answer=$(login looker a-long-enough-one)

# Connections
leaver=$(cookie_in <<<"$answer") csrf=$(grep -oE '"csrf": ?"[^"]*"' <<<"$answer" | cut -d'"' -f4)
lab_in edge timeout 30 node "$ROOT/tests/lab/admin_holders.js" "$reader" "$writer" "$leaver" "$csrf" >"$LAB/tmp/holders"
holders() { awk -v key="$1" '$1 == key { print $2 }' "$LAB/tmp/holders"; }
is "a writer is served while a reader holds all that he gets" "$(holders writer)" 200
is "which are a user's" "$(holders held)" 16
is "a reader has so many streams of events" "$(holders live)" 8
is "and a writer still gets one" "$(holders writer-live)" 200
is "a reader logs out" "$(holders logout)" 200
is "and his connection makes room" "$(holders left)" true
is "a writer's does not" "$(holders stayed)" 200

# The audit names who did what, once, and nobody for what the box does by itself.
token=$(edge admin token add test --role admin)
audit() { at -H "Authorization: Bearer $token" "$OURS/audit" | jq -r "$1"; }
echo secret | edge user add t1 >/dev/null
is "a command is told by the account that gave it" "$(audit '[.items[] | select(.what == "POST /api/v1/turn/users")] | map(.who) | join(" ")')" \
    root
reloads() { audit '[.items[] | select(.what == "POST /api/v1/reload")] | map(.who) | join(" ")'; }
is "what the box does for it is not told" "$(reloads)" ""
SUDO_USER=ann edge reload >/dev/null
is "behind sudo it is who stands there" "$(reloads)" "ann (sudo)"
kill -HUP "$(lab_pid edge edge)"
check "a signal is no person" wait_for 5 "the audit" sh -c "ip netns exec '$(lab_ns edge)' curl -sk -H 'Authorization: Bearer $token' \
    $OURS/audit | jq -e '.items[0] | .what == \"POST /api/v1/reload\" and .who == \"SIGHUP\"'"

# A restart of the box, and guesses at the administrator's password from elsewhere.
lab_stop edge edge
edge_start
need 10 "the admin service again" lab_in edge sh -c 'ss -Hlnt | grep -q ":445 "'
for i in 7 8 9; do for _ in 1 2 3 4 5 6; do login_status admin wrong-password --interface 127.0.0.$i; done; done >"$LAB/tmp/guesses"
check "guesses are held back" grep -q 429 "$LAB/tmp/guesses"
is "the administrator gets in from where he has been before the restart" "$(login_status admin "$FIRST")" 200
is "and from where nobody has guessed" "$(login_status admin "$FIRST" --interface 127.0.0.10)" 200

# Logins
before=$(audit '.items | length')
for _ in $(seq 20); do
    answer=$(login looker a-long-enough-one)
    login_out=$(grep -oE '"csrf": ?"[^"]*"' <<<"$answer" | cut -d'"' -f4)
    at -o /dev/null -X DELETE -b "$(cookie_in <<<"$answer")" -H "X-CSRF-Token: $login_out" "$OURS/session"
done
at_most "twenty logins of one from one address are no twenty entries" "$(($(audit '.items | length') - before))" 2
is "but one with a count" "$(audit '[.items[] | select(.who == "looker" and .what == "POST /api/v1/session")] | map(.count) | join(" ")')" 22
tap_done
