#!/usr/bin/env bash
# The demo as an ordinary user without a display: it says ready, its join URL shows Janus's page, a browser's call runs
# through its edge's TURN with nothing but what the page knows, and Ctrl-C leaves no process.
#
# It runs in a namespace of its own, a machine with one address, so that no port of this machine is needed.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
LAB_BOXES=guest
ADDRESS=192.0.2.77
USER_ID=4711

# In the namespace, as a user of this machine who exists only there.
as_user() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    lab_in guest unshare -m sh -c 'mount --bind "$1" /etc/passwd && shift && exec "$@"' sh "$LAB/tmp/passwd" \
        setpriv --reuid $USER_ID --regid $USER_ID --clear-groups --inh-caps=-all \
        env -i HOME="$LAB/build" PATH="$PATH" LANG=C.UTF-8 "$@"
}

ready() { grep -q '^ready: ' "$LAB/log/demo.log"; }

nothing_left() { [ -z "$(ip netns pids "$(lab_ns guest)")" ]; }

lab_prepare
ip -n "$(lab_ns guest)" link set lo up
ip -n "$(lab_ns guest)" link add net0 type veth peer name net1
ip -n "$(lab_ns guest)" address add $ADDRESS/24 dev net0
ip -n "$(lab_ns guest)" link set net1 up
ip -n "$(lab_ns guest)" link set net0 up
{ cat /etc/passwd; echo "demo:x:$USER_ID:$USER_ID::$LAB/build:/bin/sh"; } >"$LAB/tmp/passwd"
mkdir -p "$LAB/build"
cp "$BUILD/stile-edge" "$BUILD/stile-core" "$LAB/build" || { echo "Bail out! no programs in $BUILD"; exit 1; }
chown -R $USER_ID:$USER_ID "$LAB/build"
if ! as_user test -x "$ROOT/tests/demo/demo" -a -x "$LAB/build/stile-edge"; then
    diag "an ordinary user cannot read this checkout; the demo runs as root"
    as_user() { lab_in guest "$@"; }
fi

# Ctrl-C reaches the whole group of the foreground job: here a session of its own, with SIGINT as a terminal has it.
: >"$LAB/log/demo.log"
export -f as_user lab_in
export LAB LAB_PREFIX USER_ID
setsid env --default-signal=INT bash -c 'as_user "$@"' bash "$ROOT/tests/demo/demo" "$LAB/build" \
    >>"$LAB/log/demo.log" 2>&1 </dev/null &
demo=$!
disown
wait_for 30 "the ready line" ready || {
    cp "$LAB"/build/demo/log/* "$LAB/log" 2>/dev/null
    echo "Bail out! the demo did not get ready"
    exit 1
}
pass "the demo gets ready"
url=$(sed -n 's/^ready: //p' "$LAB/log/demo.log")
is "the join URL" "$url" "https://localhost:8443/"
lab_in guest curl -sk "$url" >"$LAB/tmp/page.html"
check "the join URL shows Janus's page" grep -q '<title>Janus WebRTC Server' "$LAB/tmp/page.html"

mkdir -p "$LAB/home"
lab_in guest env HOME="$LAB/home" node "$ROOT/tests/browser/call.js" --url "${url}echotest.html" --any-certificate \
    --seconds 3 --screenshot "$LAB/call.png" >"$LAB/call.json" 2>"$LAB/log/browser.log"
is "a call comes up" "$(jq -r .error "$LAB/call.json")" null
at_least "video frames decoded in 3 s" "$(jq .framesDecoded "$LAB/call.json")" 30
is "it runs through the relay of the edge" "$(jq -r '.stats.pair | .localType + " " + .localAddress' "$LAB/call.json")" \
    "relay $ADDRESS"
check "the status commands that it names work" sh -c "
    $(sed -n 's/^Status: *//p' "$LAB/log/demo.log" | sed 's/^/ip netns exec '"$(lab_ns guest)"' /') &&
    $(sed -n '/^Status:/{n;s/^ *//;p}' "$LAB/log/demo.log" | sed 's/^/ip netns exec '"$(lab_ns guest)"' /')"

kill -INT -- -$demo
check "Ctrl-C ends it within 10 s" wait_for 10 "the demo to end" process_gone $demo
check "no process is left" wait_for 2 "the last process to end" nothing_left
tap_done
