#!/usr/bin/env bash
# The admin service of both boxes, over real connections: the first user of init and join, the cookie, session fixation, CSRF, brute
# force, the reader, tokens and their end, every route as openapi.json describes it, slow clients, and no secret where none belongs.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_init
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

declare -A FIRST LOG
LOG[core]=$LAB/log/core-init.log
LOG[edge]=$LAB/log/edge-join.log
OURS=https://127.0.0.1:445/api/v1

# at BOX CURL-ARGUMENT... : asked on the box itself, so that no firewall matters.
at() { local box=$1; shift; lab_in "$box" curl -sk --max-time 10 "$@"; }
# status_of BOX CURL-ARGUMENT...
status_of() { local box=$1; shift; at "$box" -o /dev/null -w '%{http_code}' "$@"; }
# login BOX USER PASSWORD [CURL-ARGUMENT...] : head and body of the answer.
login() {
    local box=$1 user=$2 password=$3
    shift 3
    at "$box" -i -H 'Content-Type: application/json' -d "{\"user\":\"$user\",\"password\":\"$password\"}" "$@" "$OURS/session"
}
login_status() { login "$@" | head -1 | cut -d' ' -f2; }
cookie_in() { grep -i '^set-cookie:' | sed -E 's/.*(__Host-stile=[^;]*).*/\1/' | tr -d '\r'; }
command_of() { if [ "$1" = core ]; then lab_in core "$CORE" "${@:2}" --dir "$RUN/core"; else lab_in edge "$EDGE" "${@:2}" --dir "$RUN/edge"; fi; }

for box in core edge; do
    FIRST[$box]=$(grep -oE 'user admin, password [^ ]+' "${LOG[$box]}" | sed 's/.* //')
    need 5 "the admin service of $box" lab_in "$box" sh -c 'ss -Hlnt | grep -q ":445 "'
    answer=$(login $box admin "${FIRST[$box]}")
    is "$box: the first user logs in" "$(head -1 <<<"$answer" | cut -d' ' -f2)" 200
    check "$box: its cookie is for this host, HTTPS, and no script" \
        grep -qiE '^set-cookie: __Host-stile=[A-Za-z0-9_-]{43}; Path=/; Secure; HttpOnly; SameSite=Strict' <<<"$answer"
    cookie=$(cookie_in <<<"$answer")
    csrf=$(grep -oE '"csrf": ?"[^"]*"' <<<"$answer" | cut -d'"' -f4)
    is "$box: the cookie says who asks" "$(at $box -b "$cookie" $OURS/session | jq -r .user)" admin

    # Fixation: an id of somebody else's choice is never taken, and the one before a login ends with it.
    second=$(login $box admin "${FIRST[$box]}" -b '__Host-stile=chosen-by-somebody-else-chosen-by-somebody' | cookie_in)
    refute "$box: an id from outside is not taken" grep -q chosen <<<"$second"
    is "$box: nor known" "$(status_of $box -b '__Host-stile=chosen-by-somebody-else-chosen-by-somebody' $OURS/session)" 401
    third=$(login $box admin "${FIRST[$box]}" -b "$second" | cookie_in)
    is "$box: a login ends the session before" "$(status_of $box -b "$second" $OURS/session)" 401

    is "$box: a change without X-CSRF-Token is refused" "$(status_of $box -b "$cookie" -X POST $OURS/reload)" 403
    is "$box: as with another session's" "$(status_of $box -b "$third" -H "X-CSRF-Token: $csrf" -X POST $OURS/reload)" 403
    is "$box: and a body that a form could send" \
        "$(status_of $box -b "$cookie" -H "X-CSRF-Token: $csrf" -H 'Content-Type: text/plain' -d '{}' $OURS/reload)" 415
    is "$box: with its own it is done" "$(status_of $box -b "$cookie" -H "X-CSRF-Token: $csrf" -X POST $OURS/reload)" 200
    check "$box: the page's headers" sh -c "ip netns exec '$(lab_ns $box)' curl -skI https://127.0.0.1:445/ |
        grep -qi \"^content-security-policy: default-src 'self';.*frame-ancestors 'none'\""

    # Roles
    echo a-long-enough-one | command_of $box admin user add looker --role reader >/dev/null
    reader=$(login $box looker a-long-enough-one)
    looker=$(cookie_in <<<"$reader") look=$(grep -oE '"csrf": ?"[^"]*"' <<<"$reader" | cut -d'"' -f4)
    is "$box: a reader looks" "$(status_of $box -b "$looker" $OURS/status)" 200
    is "$box: and changes nothing" "$(status_of $box -b "$looker" -H "X-CSRF-Token: $look" -X POST $OURS/reload)" 403
    is "$box: nor sees the users" "$(status_of $box -b "$looker" $OURS/users)" 403
    is "$box: what was done, for programs" "$(command_of $box admin user remove looker --json | jq -r '.done | type')" string
    is "$box: a user who is removed is out" "$(status_of $box -b "$looker" $OURS/status)" 401

    # Tokens
    token=$(command_of $box admin token add test --role admin)
    command_of $box admin token add ends --days 1 >"$LAB/tmp/ends"
    is "$box: a token needs no X-CSRF-Token" "$(status_of $box -H "Authorization: Bearer $token" -X POST $OURS/reload)" 200
    is "$box: another is none" "$(status_of $box -H "Authorization: Bearer ${token}x" $OURS/status)" 401
    is "$box: figures need one as well" "$(status_of $box https://127.0.0.1:445/metrics)" 401
    sqlite3 "$RUN/$box/state/stile.db" "UPDATE admin_token SET expires = strftime('%s', 'now') WHERE name = 'ends'"
    is "$box: one that has expired is void" "$(status_of $box -H "Authorization: Bearer $(cat "$LAB/tmp/ends")" $OURS/status)" 401

    # Brute force, from an address of its own; the administrator's goes on.
    statuses=$(for _ in 1 2 3 4 5 6 7; do login_status $box admin wrong-password --interface 127.0.0.9; done | tr '\n' ' ')
    is "$box: five wrong passwords, then no more" "$statuses" "401 401 401 401 401 429 429 "
    is "$box: not even the right one" "$(login_status $box admin "${FIRST[$box]}" --interface 127.0.0.9)" 429
    is "$box: a user whom nobody knows is held back alike" \
        "$(for _ in 1 2 3 4 5 6; do login_status $box nobody wrong-password --interface 127.0.0.8; done | tr '\n' ' ')" \
        "401 401 401 401 401 429 "
    is "$box: the administrator gets in" "$(login_status $box admin "${FIRST[$box]}")" 200
    check "$box: it is an alarm" sh -c "ip netns exec '$(lab_ns $box)' curl -sk -H 'Authorization: Bearer $token' $OURS/alarms |
        jq -e '.items | any(.number == 701)'"

    # Every route; 701 was raised above.
    extra=(POST /api/v1/alarms/ack '{"number":701,"subject":"logins"}' POST /api/v1/users '{"name":"made","password":"by-the-contract","role":"reader"}' PATCH /api/v1/users/made '{"role":"admin"}'
        DELETE /api/v1/users/made '' POST /api/v1/tokens '{"name":"short","role":"reader","days":1}' DELETE /api/v1/tokens/3 ''
        POST /api/v1/reload '')
    if [ $box = core ]; then
        revision=$(jq .revision "$RUN/core/stile.json")
        extra+=(PUT /api/v1/config "$(jq -c '.revision as $r | {text: (.revision += 1 | tojson), revision: $r}' "$RUN/core/stile.json")"
            POST /api/v1/config/rollback "{\"revision\":$revision}"
            POST /api/v1/edges '{"name":"edge9","ssh":"203.0.113.99","public_address":"203.0.113.99"}'
            POST /api/v1/edges '{"name":"edge9","renew":true}' DELETE /api/v1/edges/edge9 ''
            POST /api/v1/dns/flush '' POST /api/v1/allow/test "{\"url\":\"https://$JOIN_HOST/\"}"
            POST /api/v1/config/check "$(jq -c '{text: tojson}' "$RUN/core/stile.json")")
    else
        boxes_relay
        extra+=(GET "/api/v1/turn/relays/$RELAYED" '' POST /api/v1/turn/users '{"name":"t1","password":"p"}' POST /api/v1/turn/users/t1/password '{"password":"q"}'
            POST /api/v1/turn/users/t1/disable '' POST /api/v1/turn/users/t1/enable '' POST /api/v1/turn/users/t1/token '{"ttl":60}'
            DELETE /api/v1/turn/users/t1 '' POST /api/v1/bans '{"address":"192.0.2.77","seconds":60}' DELETE /api/v1/bans/192.0.2.77 '')
    fi
    check "$box: every route answers as openapi.json says, and nobody without a credential" \
        lab_in $box node "$ROOT/tests/lab/admin_contract.js" https://127.0.0.1:445 "$token" "${extra[@]}"
    check "$box: the audit knows who, what and how it ended" sh -c "ip netns exec '$(lab_ns $box)' curl -sk \
        -H 'Authorization: Bearer $token' $OURS/audit | jq -e '.items |
        any(.who == \"token:test\" and .what == \"POST /api/v1/users\" and .result == \"done\" and .from == \"127.0.0.1\")'"

    # Slow senders: more of them than there are places.
    lab_in $box timeout 20 node -e '
let open = 0;
const told = () => ++open === 300 && console.log("open");
for (let i = 0; i < 300; i++) {
    const s = require("net").connect({ host: "127.0.0.1", port: 445, localAddress: "127.0.0." + (20 + Math.floor(i / 30)) });
    s.on("connect", () => { s.write(Buffer.from([0x16, 3, 1])); told(); });
    s.on("error", () => {});
}' >"$LAB/tmp/held" &
    slow=$!
    need 10 "the slow ones" test -s "$LAB/tmp/held"
    is "$box: three hundred who say half a word keep nobody out" "$(status_of $box -b "$cookie" $OURS/session)" 200
    at_most "$box: and hold no more than the places there are" \
        "$(lab_in $box ss -Hnt state established 'sport = :445' | wc -l)" 256
    kill $slow 2>/dev/null
    wait $slow 2>/dev/null
    : >"$LAB/tmp/held"

    # Secrets
    ! lab_in $box ps -eo args | grep -v grep | grep -F -e "${FIRST[$box]}" -e "$token" >/dev/null
    is "$box: no secret in the process list" $? 0
    ! grep -qF -e "${FIRST[$box]}" -e "$token" -e "${cookie#*=}" -e a-long-enough-one "$LAB/log/$box-$box.log"
    is "$box: nor in the log" $? 0
    ! strings "$RUN/$box/state/stile.db" "$RUN/$box/state/stile.db-wal" 2>/dev/null |
        grep -F -e "${FIRST[$box]}" -e "$token" -e a-long-enough-one -e "${cookie#*=}" >/dev/null
    is "$box: nor in the database" $? 0
    for path in status users tokens audit session events config openapi.json; do at $box -H "Authorization: Bearer $token" $OURS/$path; done \
        >"$LAB/tmp/answers"
    refute "$box: nor in answers" grep -qE "scrypt|PRIVATE KEY|$TURN_PASSWORD|${FIRST[$box]}|$token" "$LAB/tmp/answers"
    worker=$(at $box -H "Authorization: Bearer $token" $OURS/status | jq '.workers[] | select(.worker == "admin0") | .pid')
    is "$box: the worker leaves no core dump" "$(awk '/core file/ { print $5 }' "/proc/$worker/limits")" 0

    # A worker that dies is started again, and sessions are not its.
    kill -9 "$worker"
    check "$box: a worker that dies is started again, and the session goes on" \
        wait_for 5 "the session" lab_in $box curl -skf -o /dev/null -b "$cookie" $OURS/session
done
refute "no address of the DMZ gets to core's" lab_in edge timeout 2 bash -c "</dev/tcp/$CORE_ADDRESS/445"
tap_done
