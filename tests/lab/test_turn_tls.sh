#!/usr/bin/env bash
# Coturn's client against the stand-alone relay over TLS and DTLS: on 5349, and on 3478 beside plain TCP and UDP, over IPv4
# and IPv6. Nothing may be lost.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

CLIENTS=20
MESSAGES=20

lab_up
lab_ca
pair_install
lab_certificate "$LAB/edge1" "$JOIN_HOST"
cp "$LAB/edge1.pem" "$LAB/edge1.key" "$RUN"
lab_spawn edge turn "$EDGE" turn --listen "$EDGE_PUBLIC:3478" --listen "[$EDGE_PUBLIC6]:3478" \
    --tls-listen "$EDGE_PUBLIC:5349" --tls-listen "[$EDGE_PUBLIC6]:5349" --cert "$RUN/edge1.pem" --key "$RUN/edge1.key" \
    --relay-address "$EDGE_PUBLIC" --relay-address "$EDGE_PUBLIC6" --user "$TURN_USER:$TURN_PASSWORD" \
    --realm "$JOIN_HOST" --relay-ports 24000-29999 --workers 2 --channel-numbers rfc5766
need 5 "the relay" tcp_open guest "$EDGE_PUBLIC" 5349

# client NAME ADDRESS OPTION... : one run of the client between relays.
client() {
    local name=$1 address=$2
    shift 2
    lab_in guest timeout 60 turnutils_uclient -u "$TURN_USER" -w "$TURN_PASSWORD" -m $CLIENTS -n $MESSAGES -l 200 -y \
        "$@" "$address" >"$LAB/log/guest-client-$name.log" 2>&1
    echo $? >"$LAB/tmp/$name.status"
}

# claims NAME : what is claimed of a run.
claims() {
    local log=$LAB/log/guest-client-$1.log
    is "$1: the client ends well" "$(cat "$LAB/tmp/$1.status")" 0
    is "$1: packets lost" "$(grep -o 'Total lost packets.*' "$log")" \
        "Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)"
    at_least "$1: messages that came back" "$(sed -n 's/.*tot_recv_msgs=\([0-9]*\)$/\1/p' "$log" | tail -n 1)" \
        $((CLIENTS * MESSAGES))
}

# Two at a time, for most of a run is the client's own waiting.
client tls-5349 $EDGE_PUBLIC -t -S -p 5349 &
client dtls-5349 $EDGE_PUBLIC -S -p 5349 &
wait
client tls-3478 $EDGE_PUBLIC -t -S -p 3478 &
client dtls-3478 $EDGE_PUBLIC -S -p 3478 &
wait
client tls-ipv6 $EDGE_PUBLIC6 -t -S -p 5349 -x &
client dtls-ipv6 $EDGE_PUBLIC6 -S -p 5349 -x &
wait
for run in tls-5349 dtls-5349 tls-3478 dtls-3478 tls-ipv6 dtls-ipv6; do claims $run; done

peer_certificate() {
    lab_in guest timeout 5 openssl s_client "$@" -connect "$EDGE_PUBLIC:5349" -CAfile "$LAB/ca/ca.pem" \
        -verify_hostname "$JOIN_HOST" -verify_return_error </dev/null
}
check "TLS 1.3 with the certificate's name" peer_certificate -tls1_3
check "TLS 1.2" peer_certificate -tls1_2
check "DTLS 1.2" peer_certificate -dtls1_2
refute "TLS 1.1 is refused" peer_certificate -tls1_1 -cipher ALL:@SECLEVEL=0
refute "DTLS 1.0 is refused" peer_certificate -dtls1 -cipher ALL:@SECLEVEL=0
check "and nothing went astray" no_drops
tap_done
