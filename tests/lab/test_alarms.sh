#!/usr/bin/env bash
# Every alarm of the table is raised by its real condition, and is over when the condition is: boxes that stop, bridges and DNS
# that fail, certificates, TURN's quotas and ports, a flood, crashes, a wrong config, a locked database, clocks that differ,
# guessed passwords. In between: acknowledged, kept over a restart, shown in status, figures, events and at a syslog server.
#
# Conditions are brought about together where they do not disturb each other, so that their ends are waited for together.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_init

# Two clocks: core's is what the file says.
cc -shared -fPIC -O1 -o "$RUN/clock_offset.so" "$ROOT/tests/lab/preload/clock_offset.c" -ldl || { echo "Bail out! no compiler"; exit 1; }
head -c 4096 /dev/zero >"$RUN/clock"
chmod 644 "$RUN/clock"
clock() { printf '%s\0' "$1" | dd of="$RUN/clock" conv=notrunc status=none; }
clock 0
core_start() { lab_spawn core core env LD_PRELOAD="$RUN/clock_offset.so" CLOCK_OFFSET="$RUN/clock" "$CORE" run --dir "$RUN/core"; }

# edit BOX JQ : changes its stile.json in place; its owner stays.
edit() {
    jq "$2" "$RUN/$1/stile.json" >"$LAB/tmp/edit.json" && cat "$LAB/tmp/edit.json" >"$RUN/$1/stile.json"
}
reload() {
    local program=$EDGE
    [ "$1" = edge ] || program=$CORE
    lab_in "$1" "$program" reload --dir "$RUN/$1" >"$LAB/tmp/reload-$1" 2>&1
}
# settings JQ : of both boxes.
settings() {
    edit edge ".revision += 1 | $1"
    edit core ".revision += 1 | $1"
    reload core && reload edge
}

box() { # box NAME COMMAND... : of its program
    local program=$EDGE name=$1
    [ "$1" = edge ] || program=$CORE
    shift
    lab_in "$name" "$program" "$@" --dir "$RUN/$name"
}
# has BOX NUMBER [SUBJECT] : it is raised. over: it was, and is not any more.
has() { box "$1" alarm list --json | jq -e "any(.items[]; .number == $2 and (\"${3:-}\" == \"\" or .subject == \"${3:-}\"))"; }
was() { box "$1" alarm list --all --json | jq -e "any(.items[]; .number == $2 and .state == \"cleared\")"; }
over() { ! has "$@" && was "$1" "$2"; }
# raised BOX NUMBER [SUBJECT], cleared BOX NUMBER [SUBJECT] : claims.
raised() { check "$1: $2 is raised${3:+ for $3}" wait_for "${PATIENCE:-20}" "alarm $2" has "$@"; }
cleared() { check "$1: $2 is over${3:+ for $3}" wait_for "${PATIENCE:-50}" "the end of alarm $2" over "$@"; }

turn_worker() { edge_status --json | jq -r '.workers[] | select(.worker == "turn0") | .pid'; }
probe() {
    lab_in guest timeout 60 "$BUILD/tests/lab/turn_probe" "server=$EDGE_PUBLIC:3478" "user=$TURN_USER" "password=$TURN_PASSWORD" \
        "$@" >"$LAB/tmp/probe" 2>&1
}

# signed OUT DAYS NAME [EXTENSION] : a certificate for the edge's key, its authority behind it.
serial=1000
signed() {
    serial=$((serial + 1))
    openssl req -new -key "$LAB/edge1.key" -subj "/CN=lab" -out "$LAB/tmp/edge.csr" 2>/dev/null
    openssl x509 -req -in "$LAB/tmp/edge.csr" -days "$2" -CA "$LAB/ca/ca.pem" -CAkey "$LAB/ca/ca.key" -set_serial $serial -out "$1" \
        -extfile <(printf 'subjectAltName=DNS:%s\n' "$3") 2>/dev/null
    cat "$LAB/ca/ca.pem" >>"$1"
}
# for_later OUT : one that is valid from 2099 on.
for_later() {
    mkdir -p "$LAB/tmp/ca"
    : >"$LAB/tmp/ca/index"
    echo 77 >"$LAB/tmp/ca/serial"
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s\nserial=%s\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=DNS:%s\n' \
        "$LAB/tmp/ca/index" "$LAB/tmp/ca/serial" "$LAB/tmp/ca" "$JOIN_HOST" >"$LAB/tmp/ca/conf"
    openssl req -new -key "$LAB/edge1.key" -subj "/CN=lab" -out "$LAB/tmp/edge.csr" 2>/dev/null
    openssl ca -batch -config "$LAB/tmp/ca/conf" -cert "$LAB/ca/ca.pem" -keyfile "$LAB/ca/ca.key" -in "$LAB/tmp/edge.csr" -notext \
        -startdate 20990101000000Z -enddate 20991231000000Z -out "$1" >/dev/null 2>&1
    cat "$LAB/ca/ca.pem" >>"$1"
}
# response FILE OUT STATE : what the authority says of it: V is good, R revoked.
response() {
    local number
    number=$(openssl x509 -in "$1" -noout -serial | cut -d= -f2)
    printf '%s\t400101000000Z\t%s\t%s\tunknown\t/CN=lab\n' "$3" "$([ "$3" = R ] && echo 200101000000Z)" "$number" >"$LAB/tmp/index"
    openssl ocsp -index "$LAB/tmp/index" -CA "$LAB/ca/ca.pem" -rsigner "$LAB/ca/ca.pem" -rkey "$LAB/ca/ca.key" -issuer "$LAB/ca/ca.pem" \
        -cert "$1" -respout "$2" -ndays 3 >/dev/null 2>&1
}
shown() { cat "$1" >"$RUN/edge/cert.pem"; }
own() { chown 64711:64711 "$@" && chmod 600 "$@"; }

signed "$LAB/right.pem" 90 $JOIN_HOST
signed "$LAB/expired.pem" -1 $JOIN_HOST
signed "$LAB/weeks.pem" 15 $JOIN_HOST
signed "$LAB/days.pem" 5 $JOIN_HOST
signed "$LAB/other.pem" 90 other.example.com
for_later "$LAB/later.pem"
openssl req -x509 -key "$LAB/edge1.key" -subj "/CN=self" -addext "subjectAltName=DNS:$JOIN_HOST" -days 90 -out "$LAB/self.pem" 2>/dev/null

# From the start: certificates that are out of their time, and no core ---------------------------------------------------------
for name in core edge; do
    edit $name '.turn.relay_ports = [24000, 24299] | .edges[0].turn_workers = 1 | .edges[0].web_workers = 1 |
        .edges[0].relay_addresses = ["'$EDGE_PUBLIC'"] |
        .turn.user_quota = 0 | .turn.address_quota = 0 | .cores[0].syslog = "'$CORE_ADDRESS':5514" |
        .bans = {refused: {threshold: 5, window: 600, duration: 600}}'
done
shown "$LAB/expired.pem"
cat "$LAB/later.pem" "$LAB/edge1.key" >"$RUN/edge/cert-later.pem"
own "$RUN/edge/cert-later.pem"
lab_spawn core syslog python3 -uc '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("'$CORE_ADDRESS'", 5514)); print("ready")
while True: print(s.recv(4096).decode())'
need 5 "the syslog server" grep -q ready "$LAB/log/core-syslog.log"
core_start
raised core 101 edge1/0
raised core 102 edge1
# shellcheck disable=SC2016 # its own words
lab_spawn edge edge sh -c 'ulimit -n 200; exec "$0" run --dir "$1"' "$EDGE" "$RUN/edge"
raised edge 301 cert.pem
raised edge 302 cert-later.pem
shown "$LAB/right.pem"
rm "$RUN/edge/cert-later.pem"
PATIENCE=30
need 10 "a request through both boxes" guest_gets_through
cleared core 101 edge1/0
cleared core 102 edge1
cleared edge 301 cert.pem
cleared edge 302 cert-later.pem
probe allocations=290
raised edge 407 descriptors

# The edge again, with enough descriptors, but a policy newer than core's.
lab_stop edge edge
edit edge '.revision = 1000'
edge_start
raised edge 107 core1
raised core 107 edge1
check "core's is newer" settings '.revision = 1001'
cleared edge 107 core1
cleared core 107 edge1

# TURN's limits: each is over half a minute after the last refusal --------------------------------------------------------------
probe allocations=301
raised edge 401
probe allocations=130 reserve=1
raised edge 406
check "settings" settings '.turn.total_quota = 5'
probe allocations=6
raised edge 402
check "settings" settings '.turn.total_quota = 0 | .turn.user_quota = 5'
probe allocations=6
raised edge 403
check "settings" settings '.turn.user_quota = 0 | .turn.address_quota = 5'
probe allocations=6
raised edge 404
check "settings" settings '.turn.address_quota = 0'
lab_in fwout "$BUILD/tests/lab/turn_flood" interface=dmz from=11.0.0.0/8 to=$EDGE_PUBLIC:3478 count=200000 seed=1 \
    to_mac="$(lab_in edge cat /sys/class/net/outer/address)" >"$LAB/log/flood.log"
raised edge 409

# Certificates while it runs ----------------------------------------------------------------------------------------------------
# certificate NUMBER FILE : raised by it.
certificate() {
    shown "$2"
    raised edge "$1"
}
certificate 304 "$LAB/weeks.pem"
certificate 303 "$LAB/days.pem"
cleared edge 304
certificate 305 "$LAB/other.pem"
certificate 309 "$LAB/self.pem"
certificate 306 "$LAB/edge1.pem"
response "$LAB/other.pem" "$LAB/other.der" V
response "$LAB/right.pem" "$LAB/revoked.der" R
shown "$LAB/right.pem"
cat "$LAB/other.der" >"$RUN/edge/cert.ocsp"
own "$RUN/edge/cert.ocsp"
raised edge 307 cert.pem
cat "$LAB/revoked.der" >"$RUN/edge/cert.ocsp"
raised edge 308 cert.pem
echo junk >"$RUN/edge/cert-junk.pem"
own "$RUN/edge/cert-junk.pem"
raised edge 310 cert-junk.pem
rm "$RUN/edge/cert-junk.pem" "$RUN/edge/cert.ocsp"
for number in 303 305 306 307 308 309 310; do cleared edge $number; done

# Bridges and names ---------------------------------------------------------------------------------------------------------------
lab_stop bridge nginx
raised core 201 "$JOIN_HOST $BRIDGE_ADDRESS port 443"
raised core 202 $JOIN_HOST
check "status tells of it" sh -c "ip netns exec '$(lab_ns core)' '$CORE' status --dir '$RUN/core' | grep -q '^  critical 202 $JOIN_HOST: No web bridge'"
check "and the figures" sh -c "ip netns exec '$(lab_ns core)' '$CORE' metrics --dir '$RUN/core' |
    grep -q '^stile_alarm_active{number=\"202\",name=\"no_active_target\",severity=\"critical\"} 1'"
check "it is acknowledged" box core alarm ack 202
lab_stop dns dns
box core dns flush >/dev/null
raised core 203 "$JOIN_HOST $JOIN_HOST"

# Kept over a restart: the acknowledgement, and since when.
since() { box core alarm list --json | jq -c '.items[] | select(.number == 202) | [.since, .acknowledged]'; }
before=$(since)
lab_stop core core
raised edge 103 core1
raised edge 104
core_start
check "core is back" wait_for 10 "core" box core alarm list
is "what was raised before the restart is as it was" "$(since)" "$before"
cleared edge 103 core1
cleared edge 104
# shellcheck disable=SC2046 # its commands are words
lab_spawn bridge nginx $(bridge_nginx "$LAB/bridge")
dns_start dns 10.20.0.53 --host-record="$JOIN_HOST,$BRIDGE_ADDRESS,$BRIDGE_ADDRESS6"

# Clocks, processes, files ----------------------------------------------------------------------------------------------------------
clock 120
raised core 106 edge1
raised edge 106 core1
clock 0
kill -SEGV "$(turn_worker)"
raised edge 501 turn0
kill -SEGV "$(edge_status --json | jq .sshd.pid)"
raised edge 105
cp "$RUN/core/stile.json" "$LAB/tmp/good.json"
edit core '.turn.total_quota = "many"'
refute "a wrong config is refused" reload core
raised core 502
cat "$LAB/tmp/good.json" >"$RUN/core/stile.json"
check "the right one is taken" reload core
cleared core 502
lab_spawn core lock python3 -uc '
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute("BEGIN IMMEDIATE"); print("locked"); time.sleep(1000)' \
    "$RUN/core/state/events.db"
need 10 "the lock" grep -qx locked "$LAB/log/core-lock.log"
box core dns flush >/dev/null # an event, which has to be written
raised core 503 events.db
lab_stop core lock
cleared core 503 events.db
check "settings" settings ".web_proxy.access_log.file = \"$RUN/nowhere/access.log\""
raised edge 504
check "settings" settings '.web_proxy.access_log.file = ""'
cleared edge 504

# An address for relays that goes.
ip -n "$(lab_ns edge)" address del $EDGE_PUBLIC/24 dev outer
kill -SEGV "$(turn_worker)"
raised edge 408
ip -n "$(lab_ns edge)" address add $EDGE_PUBLIC/24 dev outer
ip -n "$(lab_ns edge)" route replace default via 203.0.113.1
cleared edge 408

# More addresses banned than can be.
node -e '
const net = require("net"), socket = net.connect(process.argv[1]);
let n = 0, seen = Buffer.alloc(0);
const add = () => {
    const text = JSON.stringify({type: "ban", verb: "add", address: `10.${100 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`, seconds: 600});
    const frame = Buffer.alloc(4 + text.length);
    frame.writeUInt32BE(text.length); frame.write(text, 4); socket.write(frame); n++;
};
add();
socket.on("data", (data) => {
    seen = Buffer.concat([seen, data]);
    while (seen.length >= 4 && seen.length >= 4 + seen.readUInt32BE(0)) {
        seen = seen.subarray(4 + seen.readUInt32BE(0));
        if (n === 10000) process.exit(0);
        add();
    }
});' "$RUN/edge/run/edge.sock"
is "ten thousand are banned" "$(edge_status --json | jq .bans.active)" 10000
guest_curl -4 -H 'Host: other.example.net' -o /dev/null --http1.1 "https://$JOIN_HOST/[1-9]" 2>/dev/null
raised edge 601
box edge ban remove 10.100.0.0 >/dev/null
cleared edge 601

# What has taken its time -------------------------------------------------------------------------------------------------------------
cleared core 201
cleared core 202 $JOIN_HOST
cleared core 203
cleared core 106 edge1
cleared edge 106 core1
cleared edge 105
cleared edge 501 turn0
for number in 401 402 403 404 406 407 409; do cleared edge $number; done

# Guesses of an administrator's password; over after ten minutes without, which pass at once for core.
guess() {
    lab_in core curl -sk -w '%{http_code}' -o /dev/null -H 'Content-Type: application/json' -d '{"user":"admin","password":"no"}' \
        https://127.0.0.1:445/api/v1/session
}
is "guesses are held back" "$(for _ in 1 2 3 4 5 6; do guess; done)" 401401401401401429
raised core 701 logins
clock "0 601"
cleared core 701 logins

check "an alarm is an event as well" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' event list --json --limit 1000 --filter 'Alarm Raised' --dir '$RUN/edge' |
    jq -e '[.items[].fields.alarm] | index(\"601\")'"
check "a worker's events are among them, under its name" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' event list --json --filter 'Relay Limit' --dir '$RUN/edge' |
    jq -e 'any(.items[]; .process == \"turn0\" and .name == \"Relay Limit Reached\")'"
check "the syslog server has heard of them" grep -qE '^<26>1 [0-9TZ:.-]+ [^ ]+ stile-core core Alarm_Raised - event="Alarm Raised" alarm=202 ' "$LAB/log/core-syslog.log"
check "guests get through" wait_for 20 "a request" guest_gets_through
tap_done
