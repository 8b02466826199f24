#!/usr/bin/env bash
# Two bare Debians, in the LAN and in the DMZ: the packages installed, paired and upgraded with the commands that a person types, under
# systemd with the units' hardening. Prints how long each command took.
. "$(dirname "$0")/lab.sh"
. "$ROOT/tests/lab/boxes.sh"
. "$ROOT/tests/lab/debian.sh"

packages_exit() {
    local status=$?
    debian_down core edge
    (exit $status)
    lab_exit
}

typed=0
# typed BOX COMMAND: what a person types there, as it stands.
typed() {
    local box=$1 start status
    typed=$((typed + 1))
    start=$(now_ms)
    debian_in "$box" sh -c "cd /root; $2" >"$LAB/log/$box-typed$typed.log" 2>&1
    status=$?
    diag "$(printf '%6d ms  %s# %s' $(($(now_ms) - start)) "$box" "$2")"
    [ $status = 0 ] && pass "$box# ${2%% --*}" || fail "$box# $2"
}

# deb NAME [VERSION]: the file of a package in $LAB/deb.
deb() { echo "$LAB/deb/stile-$1_${2:-$version}_amd64.deb"; }

# newer NAME: the same package under a higher version.
newer() {
    local tree=$LAB/tmp/newer-$1
    dpkg-deb -R "$(deb "$1")" "$tree" && sed -i "s/^Version: .*/Version: $version+1/" "$tree/DEBIAN/control" &&
        dpkg-deb --root-owner-group -b "$tree" "$(deb "$1" "$version+1")" >/dev/null
}

active() { [ "$(debian_in "$1" systemctl is-active "stile-$1")" = active ]; }

lab_up
trap packages_exit EXIT
version=$(dpkg-parsechangelog -l "$ROOT/packaging/debian/changelog" -S Version)
start=$(now_ms)
check 'make deb builds the packages' make -s -C "$ROOT" BUILD="$BUILD" deb
diag "$(($(now_ms) - start)) ms to build them"
check 'lintian finds nothing' lintian --allow-root --fail-on error,warning,info "$BUILD"/deb/*.changes
mkdir "$LAB/deb"
cp "$BUILD"/deb/stile-{core,edge}_"$version"_*.deb "$LAB/deb"
start=$(now_ms)
debian_base "$(deb core)" "$(deb edge)"
diag "$(($(now_ms) - start)) ms for the bare Debian"
debian_boot core && debian_boot edge || {
    fail 'systemd boots in a namespace (this takes cgroups to give away: run it where the machine has them)'
    tap_done
}

lab_ca
lab_dns
bridge_start
lab_certificate "$LAB/edge1" "$JOIN_HOST"
debian_put core "$(deb core)" /root/stile-core.deb
debian_put core "$LAB/ca/ca.pem" /root/bridge-ca.pem
debian_put edge "$(deb edge)" /root/stile-edge.deb
debian_put edge "$LAB/edge1.pem" /root/fullchain.pem
debian_put edge "$LAB/edge1.key" /root/privkey.pem

# From here on as docs/deploy-core.md and docs/deploy-edge.md have it: what apt needs is in its archive, for the lab has no mirror.
typed core "apt-get install -y ./stile-core.deb"
typed edge "apt-get install -y ./stile-edge.deb"
typed core "stile-core init --join-url https://$JOIN_HOST --core core1 --edge edge1=$EDGE_INNER,public=$EDGE_PUBLIC --bridge-ca bridge-ca.pem --allow-peer $LAN_NET"
# scp, which the two boxes have no account for here.
start=$(now_ms)
typed=$((typed + 1))
debian_in core cat /etc/stile/edge1.bundle >"$LAB/tmp/bundle"
debian_put edge "$LAB/tmp/bundle" /root/edge1.bundle
rm "$LAB/tmp/bundle"
diag "$(printf '%6d ms  core# scp /etc/stile/edge1.bundle edge:' $(($(now_ms) - start)))"
typed edge "stile-edge join edge1.bundle --cert fullchain.pem --key privkey.pem"
start=$(now_ms)
wait_for 30 'a request through both boxes' guest_gets_through
check "a guest's request goes through, and nobody started a service by hand" guest_gets_through
diag "$(printf '%6d ms  until the first request' $(($(now_ms) - start)))"
at_most 'commands that a person typed' $typed 6

# What runs.
check 'core is active' active core
check 'the edge is active' active edge
check 'status of core answers' debian_in core stile-core status
check 'status of the edge answers' debian_in edge stile-edge status
check 'systemctl reload reloads core' debian_in core systemctl reload stile-core
check 'systemctl reload reloads the edge' debian_in edge systemctl reload stile-edge
# shellcheck disable=SC2016 # for the box's shell
is 'nothing of the edge is root, may get privileges or is without a system call filter' "$(debian_in edge sh -c '
    for pid in $(cat /sys/fs/cgroup/system.slice/stile-edge.service/cgroup.procs); do
        grep -q "^Name:.sshd" /proc/$pid/status && echo sshd
        awk "/^Uid:/ && \$2 == 0 || /^NoNewPrivs:/ && \$2 != 1 || /^Seccomp:/ && \$2 != 2" /proc/$pid/status
    done | sort -u')" sshd
refute 'nobody but the account reads the keys' debian_in edge setpriv --reuid nobody --clear-groups cat /etc/stile/key.pem
is 'sshd logged no error under its restrictions' \
    "$(debian_in edge journalctl --no-pager -u stile-edge | grep -cE 'SSH Server.*(error|fatal|not permitted)')" 0

# Upgrades keep what was configured, and come back by themselves.
debian_in edge sh -c 'echo "# ours" >>/etc/logrotate.d/stile-edge'
# Guests ask all the time meanwhile, each on a connection of its own; what curl made of each goes to $LAB/tmp/upgrade-BOX.
guests_ask() {
    until [ -e "$LAB/tmp/upgraded-$1" ]; do
        guest_curl -f -o /dev/null "https://$JOIN_HOST/bulk/data?bytes=300000" 2>/dev/null
        echo $? >>"$LAB/tmp/upgrade-$1"
    done
}
# While an edge drains for longer than TimeoutStopSec of its unit: a WebSocket goes on until then, and is closed with words.
debian_in core cat /etc/stile/stile.json | jq '.revision += 1 | .drain.edge_seconds = 18' >"$LAB/tmp/stile.json"
debian_put core "$LAB/tmp/stile.json" /root/stile.json
check 'core brings the time to drain to the edge' debian_in core sh -c 'cat /root/stile.json >/etc/stile/stile.json && stile-core reload'
wait_for 5 'the config on the edge' debian_in edge grep -q edge_seconds /etc/stile/stile.json
config=$(debian_in edge sha256sum /etc/stile/stile.json /etc/stile/ssh_host_ed25519_key)
drains() { grep -q 'Status: "Stopping, .* (1 WebSockets), ' <(debian_in edge systemctl status stile-edge); }
for box in core edge; do
    newer $box
    debian_put $box "$(deb $box "$version+1")" /root/newer.deb
    guests_ask $box &
    asking=$!
    wait_for 10 'a request before the upgrade' test -s "$LAB/tmp/upgrade-$box"
    if [ $box = edge ]; then
        lab_spawn guest websocket env NODE_EXTRA_CA_CERTS="$LAB/ca/ca.pem" node "$ROOT/tests/lab/drain_guest.js" "wss://$JOIN_HOST/bulk/echo"
        wait_for 10 'the WebSocket' grep -qx open "$LAB/log/guest-websocket.log"
        (wait_for 20 'words in systemctl status' drains && touch "$LAB/tmp/drains") &
    fi
    check "$box is upgraded" debian_in $box apt-get install -y /root/newer.deb
    wait_for 30 'a request after the upgrade' guest_gets_through
    touch "$LAB/tmp/upgraded-$box"
    wait $asking
    diag "$(wc -l <"$LAB/tmp/upgrade-$box") requests during the upgrade of $box; curl's results: $(sort "$LAB/tmp/upgrade-$box" | uniq -c | xargs)"
done
check 'systemctl status said what the edge waited for' test -e "$LAB/tmp/drains"
check 'the WebSocket was closed with 1001 in the end' grep -qx 'closed 1001' "$LAB/log/guest-websocket.log"
refute 'systemd lost patience' debian_in edge sh -c 'journalctl --no-pager -u stile-edge | grep -qE "timed out|Failed with result"'
is "no request failed while core was upgraded" "$(grep -vcx 0 "$LAB/tmp/upgrade-core")" 0
# 7, 35, 52, 56: nobody was there. 18 and 92 would be an answer that was cut off.
is "no answer was cut off while the edge was upgraded" "$(grep -vcxE '0|7|35|52|56' "$LAB/tmp/upgrade-edge")" 0
check 'the edge had config and keys' test -n "$config"
is 'the upgraded edge has its config and keys' "$(debian_in edge sha256sum /etc/stile/stile.json /etc/stile/ssh_host_ed25519_key)" "$config"
check 'a changed conffile is kept' debian_in edge grep -q '^# ours' /etc/logrotate.d/stile-edge
check 'guests get through after the upgrade' guest_gets_through

# Removing keeps, purging does not.
check 'the edge is removed' debian_in edge apt-get remove -y stile-edge
check 'its config stays' debian_in edge test -e /etc/stile/stile.json
refute 'it has stopped' debian_in edge pgrep -u stile
check 'the edge is purged' debian_in edge apt-get purge -y stile-edge
is 'nothing of it is left' \
    "$(debian_in edge sh -c 'ls -d /etc/stile /var/lib/stile /var/log/stile /run/stile /etc/logrotate.d/stile-edge /etc/systemd/system/*/stile* 2>/dev/null')" ''
tap_done
