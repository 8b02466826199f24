#!/usr/bin/env bash
# ICMP errors about relayed packets, as real kernels send them: the client learns of them in Data indications with an ICMP
# attribute (RFC 8656 §11.5), with type, code and, where a packet was too big, the MTU; IPv4 and IPv6.
#
#    guest -------------- edge -------------- router ----(MTU 1300)---- peer
#    198.51.100.10   .1         192.0.2.1    .2      203.0.113.1        .20
#    2001:db8:a::10  ::1    2001:db8:c::1    ::2     2001:db8:b::1      ::20
#
# 203.0.113.30 is refused by the router (host unreachable); what is sent to 203.0.113.40 arrives there with its last hop used up.
LAB_BOXES="guest edge router peer"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"

EDGE=$BUILD/stile-edge
SERVER=198.51.100.1
PEER=203.0.113.20 PEER6=2001:db8:b::20
MTU=1300 BIG=1380

lab_prepare
for box in $LAB_BOXES; do
    lab_in "$box" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    ip -n "$(lab_ns "$box")" link set lo up
done
lab_in router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
link_pair guest net0 edge outer
link_pair edge inner router near
link_pair router far peer net0
link_address guest net0 198.51.100.10/24 2001:db8:a::10/64
link_address edge outer $SERVER/24 2001:db8:a::1/64
link_address edge inner 192.0.2.1/24 2001:db8:c::1/64
link_address router near 192.0.2.2/24 2001:db8:c::2/64
link_address router far 203.0.113.1/24 2001:db8:b::1/64
link_address peer net0 $PEER/24 $PEER6/64
ip -n "$(lab_ns router)" link set far mtu $MTU
ip -n "$(lab_ns peer)" link set net0 mtu $MTU
ip -n "$(lab_ns edge)" route add 203.0.113.0/24 via 192.0.2.2
ip -n "$(lab_ns edge)" -6 route add 2001:db8:b::/64 via 2001:db8:c::2
ip -n "$(lab_ns peer)" route add default via 203.0.113.1
ip -n "$(lab_ns peer)" -6 route add default via 2001:db8:b::1
lab_in router nft -f - <<END
table ip lab {
    chain before { type filter hook prerouting priority 0; ip daddr 203.0.113.40 ip ttl set 1; }
    chain through { type filter hook forward priority 0; ip daddr 203.0.113.30 reject with icmp type host-unreachable; }
}
END

printf 'apple\n' >"$LAB/tmp/password"
lab_spawn edge turn "$EDGE" turn --listen "$SERVER:3478" --listen "[2001:db8:a::1]:3478" \
    --relay-address 192.0.2.1 --relay-address 2001:db8:c::1 --realm example.org --user "alice:@$LAB/tmp/password" --workers 2 --log-level warning
lab_spawn peer echo turnutils_peer -L $PEER -L $PEER6 -p 3480
need 5 "the relay" tcp_open guest $SERVER 3478
need 5 "the echoing peer" lab_in peer sh -c "ss -Hlnu src $PEER | grep -q :3480"

# seen OPTION... : what came back to the client.
seen() {
    lab_in guest timeout 60 "$BUILD/tests/lab/turn_probe" "$@" "server=$SERVER:3478" user=alice password=apple |
        tee -a "$LAB/log/probe.log" | grep -v ^relayed
}

is "a packet that somebody takes" "$(seen peer=$PEER:3480)" "data 100 $PEER:3480"
is "nobody at the port: destination, port unreachable" "$(seen peer=$PEER:9)" "icmp 3 3 0 $PEER:9"
is "a router that refuses: host unreachable" "$(seen peer=203.0.113.30:9)" "icmp 3 1 0 203.0.113.30:9"
is "too many hops: time to live exceeded" "$(seen peer=203.0.113.40:9)" "icmp 11 0 0 203.0.113.40:9"
is "a big packet with DONT-FRAGMENT: fragmentation needed, and the MTU" \
    "$(seen peer=$PEER:3480 size=$BIG dont_fragment=1)" "icmp 3 4 $MTU $PEER:3480"
is "a big packet without it" "$(seen peer=$PEER:3480 size=$BIG)" "data $BIG $PEER:3480"
is "IPv6: a packet that somebody takes" "$(seen family=6 "peer=[$PEER6]:3480")" "data 100 [$PEER6]:3480"
is "IPv6: nobody at the port" "$(seen family=6 "peer=[$PEER6]:9")" "icmp 1 4 0 [$PEER6]:9"
is "IPv6: a big packet: too big, and the MTU" "$(seen family=6 "peer=[$PEER6]:3480" size=$BIG)" "icmp 2 0 $MTU [$PEER6]:3480"
is "IPv6: the next one, in fragments" "$(seen family=6 "peer=[$PEER6]:3480" size=$BIG)" "data $BIG [$PEER6]:3480"
is "IPv6 from end to end: DONT-FRAGMENT, which means nothing there" \
    "$(seen "server=[2001:db8:a::1]:3478" family=6 "peer=[$PEER6]:3480" size=$BIG dont_fragment=1)" "data $BIG [$PEER6]:3480"
refute "no worker died" grep -q 'Worker Died' "$LAB/log/edge-turn.log"
tap_done
