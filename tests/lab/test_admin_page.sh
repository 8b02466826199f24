#!/usr/bin/env bash
# The admin page of both boxes in real Chromium, on a running pair: every page is opened, everything that can be done on it is done,
# wide and narrow, light and dark (tests/browser/admin_page.js). Pictures go to $BUILD/screens.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start
screens=$BUILD/screens
mkdir -p "$screens"

# first_password LOG : what init and join say once.
first_password() { sed -nE 's/.*user admin, password ([^ ]+).*/\1/p' "$LAB/log/$1"; }

# page_claims BOX OPTION... : what admin_page.js claims of a box, from a browser that sits on it.
page_claims() {
    local box=$1 line
    shift
    lab_in "$box" env HOME="$LAB/tmp/home-$box" node "$ROOT/tests/browser/admin_page.js" --url https://127.0.0.1:445/ --box "$box" \
        --screens "$screens" "$@" >"$LAB/tmp/$box.tap" 2>"$LAB/log/browser-$box.log"
    while IFS= read -r line; do
        case $line in
            'ok - '*) pass "${line#ok - }" ;;
            'not ok - '*) fail "${line#not ok - }" ;;
            *) diag "${line#\# }" ;;
        esac
    done <"$LAB/tmp/$box.tap"
    check "$box: the browser's test ran" grep -q 'nobody else was asked' "$LAB/tmp/$box.tap"
}

need 10 "the admin page of the edge" tcp_open edge 127.0.0.1 445
need 10 "the admin page of core" tcp_open core 127.0.0.1 445
page_claims edge --password "$(first_password edge-join.log)" \
    --relay "ip netns exec $(lab_ns guest) turnutils_uclient -t -u $TURN_USER -w $TURN_PASSWORD -c -s -m 1 -n 100000 -z 20 -e $BRIDGE_ADDRESS $EDGE_PUBLIC" \
    --halt "kill -STOP $(lab_pid edge edge)" --go-on "kill -CONT $(lab_pid edge edge)"
cut="ip netns exec $(lab_ns bridge) nft"
page_claims core --password "$(first_password core-init.log)" \
    --break "$cut 'add table inet cut; add chain inet cut in { type filter hook input priority 0; }; add rule inet cut in tcp dport 443 drop'" \
    --mend "$cut delete table inet cut"
tap_done
