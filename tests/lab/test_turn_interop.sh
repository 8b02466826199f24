#!/usr/bin/env bash
# Coturn's client against the stand-alone relay, over every transport: UDP, TCP, TLS and DTLS, IPv4 and IPv6, channels and
# Send indications, between two relays and to a peer that echoes, with its odd options. Nothing may be lost.
#
#    guest ------------------- edge ------------------- peer
#    198.51.100.10        203.0.113.10             192.0.2.20, 192.0.2.21
#    2001:db8:a::10       2001:db8:b::10           2001:db8:c::20
LAB_BOXES="guest edge peer"
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

EDGE=$BUILD/stile-edge
PEER=192.0.2.20 PEER_WHOLE=192.0.2.21 PEER6=2001:db8:c::20
CLIENTS=10
MESSAGES=20
AT_ONCE=8

lab_prepare
lab_in edge sysctl -qw net.ipv6.conf.all.accept_dad=0
for box in $LAB_BOXES; do
    lab_in "$box" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
    ip -n "$(lab_ns "$box")" link set lo up
done
link_pair guest net0 edge outer
link_pair peer net0 edge inner
link_address guest net0 198.51.100.10/24 2001:db8:a::10/64
link_address edge outer 198.51.100.1/24 2001:db8:a::1/64
link_address edge inner 192.0.2.1/24 2001:db8:c::1/64
link_address peer net0 $PEER/24 $PEER6/64
ip -n "$(lab_ns peer)" address add $PEER_WHOLE/24 dev net0
ip -n "$(lab_ns edge)" address add $EDGE_PUBLIC/32 dev lo
ip -n "$(lab_ns edge)" address add $EDGE_PUBLIC6/128 dev lo nodad
for box in guest:198.51.100.1:2001:db8:a::1 peer:192.0.2.1:2001:db8:c::1; do
    IFS=: read -r name four six <<<"$box"
    ip -n "$(lab_ns "$name")" route add default via "$four"
    ip -n "$(lab_ns "$name")" -6 route add default via "$six"
done
lab_in edge nft -f - <<END
table inet lab {
    counter whole { }
    counter whole_unasked { }
    chain out {
        type filter hook output priority 0
        ip daddr $PEER_WHOLE udp sport 24000-29999 ip frag-off & 0x4000 != 0 counter name whole
        ip daddr $PEER udp sport 24000-29999 ip frag-off & 0x4000 != 0 counter name whole_unasked
    }
}
END
counted() { lab_in edge nft -j list counter inet lab "$1" | jq '.nftables[] | .counter? // empty | .packets'; }

lab_ca
lab_certificate "$LAB/edge1" "$JOIN_HOST"
printf '%s\n' "$TURN_PASSWORD" >"$LAB/tmp/password"
lab_spawn edge turn "$EDGE" turn --listen "$EDGE_PUBLIC:3478" --listen "[$EDGE_PUBLIC6]:3478" --realm "$JOIN_HOST" \
    --relay-address "$EDGE_PUBLIC" --relay-address "$EDGE_PUBLIC6" --user "$TURN_USER:@$LAB/tmp/password" \
    --shared-secret lab-shared-secret --cert "$LAB/edge1.pem" --key "$LAB/edge1.key" --workers 2 \
    --channel-numbers rfc5766 --log-level warning
lab_spawn peer echo turnutils_peer -L $PEER -L $PEER_WHOLE -L $PEER6 -p 3480
need 5 "the relay" tcp_open guest "$EDGE_PUBLIC" 3478
need 5 "the echoing peer" lab_in peer sh -c "ss -Hlnu src $PEER | grep -q :3480"

# One cell a line: name, what it is, address, and the client's options. Not -Z: the client numbers ADDITIONAL-ADDRESS-FAMILY 0x8032.
cells() {
    cat <<END
udp          UDP, channels, relay to relay;$EDGE_PUBLIC;-y
udp-peer     UDP, channels, to a peer;$EDGE_PUBLIC;-e $PEER
udp-send     UDP, Send, to a peer;$EDGE_PUBLIC;-s -e $PEER
udp-whole    UDP, Send with DONT-FRAGMENT, to a peer;$EDGE_PUBLIC;-g -s -e $PEER_WHOLE
udp-pad      UDP, padded ChannelData;$EDGE_PUBLIC;-D -y
udp-four     UDP, an IPv4 relay asked for;$EDGE_PUBLIC;-X -y
udp-4to6     UDP over IPv4, an IPv6 relay;$EDGE_PUBLIC;-x -y
udp6         UDP over IPv6, an IPv6 relay;$EDGE_PUBLIC6;-x -y
udp6-peer    UDP over IPv6, to an IPv6 peer;$EDGE_PUBLIC6;-x -e $PEER6
udp6to4      UDP over IPv6, an IPv4 relay, to a peer;$EDGE_PUBLIC6;-X -e $PEER
secret       UDP, credentials made with a shared secret;$EDGE_PUBLIC;-W lab-shared-secret -y
tcp          TCP, channels, relay to relay;$EDGE_PUBLIC;-t -y
tcp-send     TCP, Send with DONT-FRAGMENT, to a peer;$EDGE_PUBLIC;-t -g -s -e $PEER_WHOLE
tcp6         TCP over IPv6, an IPv6 relay;$EDGE_PUBLIC6;-t -x -y
tls          TLS, channels, relay to relay;$EDGE_PUBLIC;-t -S -p 3478 -y
tls-send     TLS, Send, to a peer;$EDGE_PUBLIC;-t -S -p 3478 -s -e $PEER
tls6         TLS over IPv6, an IPv6 relay;$EDGE_PUBLIC6;-t -S -p 3478 -x -y
dtls         DTLS, channels, relay to relay;$EDGE_PUBLIC;-S -p 3478 -y
dtls-send    DTLS, Send, to a peer;$EDGE_PUBLIC;-S -p 3478 -s -e $PEER
dtls6        DTLS over IPv6, an IPv6 relay;$EDGE_PUBLIC6;-S -p 3478 -x -y
dtls-secret  DTLS, credentials made with a shared secret;$EDGE_PUBLIC;-S -p 3478 -W lab-shared-secret -e $PEER
tcp-relay    TCP towards peers, over TCP;$EDGE_PUBLIC;-T
tcp-relay-s  TCP towards peers, over TLS;$EDGE_PUBLIC;-T -S -p 3478
END
}

# client NAME ADDRESS OPTION... : one run; its last words go to NAME.out.
client() {
    local name=$1 address=$2
    shift 2
    lab_in guest timeout 60 turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -m $CLIENTS -n $MESSAGES -l 200 \
        "$@" "$address" >"$LAB/log/guest-$name.log" 2>&1
    echo $? >"$LAB/tmp/$name.status"
}

while IFS=';' read -r names address options; do
    while [ "$(jobs -rp | wc -l)" -ge $AT_ONCE ]; do wait -n; done
    # shellcheck disable=SC2086 # a list of options
    client "${names%% *}" "$address" $options &
done < <(cells)
wait

while IFS=';' read -r names address options; do
    name=${names%% *}
    what=$(sed 's/^[^ ]* *//' <<<"$names")
    log=$LAB/log/guest-$name.log
    received=$(sed -n 's/.*tot_recv_msgs=\([0-9]*\)$/\1/p' "$log" | tail -n 1)
    if [ "$(cat "$LAB/tmp/$name.status")" = 0 ] && [ "${received:-0}" -ge $((CLIENTS * MESSAGES)) ] &&
        grep -q 'Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)' "$log"; then
        pass "$what ($options): $received messages, none lost"
    else
        fail "$what ($options): $(grep -o 'Total lost packets.*' "$log" || tail -n 1 "$log")"
    fi
done < <(cells)

at_least "packets to peers with the don't-fragment bit, where it was asked for" "$(counted whole)" $((2 * CLIENTS * MESSAGES))
is "packets to peers with the don't-fragment bit, where it was not" "$(counted whole_unasked)" 0

lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -w wrong -m 1 -n 1 -e $PEER "$EDGE_PUBLIC" >"$LAB/log/guest-wrong.log" 2>&1
check "a wrong password gets no relay" grep -q 'Cannot complete Allocation' "$LAB/log/guest-wrong.log"
lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -W not-the-secret -m 1 -n 1 -e $PEER "$EDGE_PUBLIC" \
    >"$LAB/log/guest-secret-wrong.log" 2>&1
check "a wrong secret gets no relay" grep -q 'Cannot complete Allocation' "$LAB/log/guest-secret-wrong.log"
lab_in guest timeout 20 turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -m 1 -n 1 -e 10.20.0.10 "$EDGE_PUBLIC" \
    >"$LAB/log/guest-peer.log" 2>&1
check "a peer that is not allowed is refused with 403" grep -q 'error 403' "$LAB/log/guest-peer.log"
refute "no worker died" grep -q 'Worker Died' "$LAB/log/edge-turn.log"
tap_done
