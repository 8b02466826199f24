#!/usr/bin/env bash
# The DMZ as attacker. What core's key opens on the edge when a real ssh uses it; what the edge's files open anywhere; and
# what an edge gets that speaks HTTP/2 into the data channel itself and asks for what no guest may have.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"
# shellcheck source=tests/lab/forge.sh
. "$ROOT/tests/lab/forge.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# Core's key, in the hands of a real ssh ------------------------------------------------------------------------

CORE_KEY=$RUN/core/core_ed25519

# ssh_edge KEY OPTION... [COMMAND] : from core's box to the edge's sshd, as $LOGIN; both outputs together.
ssh_edge() {
    local key=$1
    shift
    lab_in core timeout 8 ssh -F none -i "$key" -p 2222 -o BatchMode=yes -o IdentitiesOnly=yes \
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=INFO -l "${LOGIN:-stile}" "$EDGE_INNER" "$@" 2>&1
}

# says WHAT PATTERN TEXT, keeps_quiet WHAT PATTERN TEXT : claims about what an ssh printed.
says() { if grep -qE -- "$2" <<<"$3"; then pass "$1"; else fail "$1"; diag "it printed: $3"; fi; }
keeps_quiet() { if grep -qE -- "$2" <<<"$3"; then fail "$1"; diag "it printed: $3"; else pass "$1"; fi; }

keeps_quiet "a command is not run" 'uid=' "$(ssh_edge "$CORE_KEY" id)"
keeps_quiet "a command behind ours is not run" 'uid=' "$(ssh_edge "$CORE_KEY" 'control; id')"
# shellcheck disable=SC2016 # not for this shell
keeps_quiet "nor one in its place" 'uid=' "$(ssh_edge "$CORE_KEY" 'data $(id)')"
# shellcheck disable=SC2016
keeps_quiet "there is no shell" 'INTRUDER-42' "$(ssh_edge "$CORE_KEY" <<<'echo INTRUDER-$((6*7))')"
says "there is no pty" 'PTY allocation request failed' "$(ssh_edge "$CORE_KEY" -tt </dev/null)"
says "no forward to the edge's loopback" 'administratively prohibited|stdio forwarding failed' \
    "$(ssh_edge "$CORE_KEY" -W 127.0.0.1:443 </dev/null)"
says "no port of the edge is forwarded" 'remote port forwarding failed' \
    "$(ssh_edge "$CORE_KEY" -N -o ExitOnForwardFailure=yes -R 127.0.0.1:7001:127.0.0.1:22)"
says "no socket of the edge is forwarded" 'remote port forwarding failed|forwarding failed' \
    "$(ssh_edge "$CORE_KEY" -N -o ExitOnForwardFailure=yes -R /tmp/stile-intruder.sock:127.0.0.1:22)"
refute "no files over sftp" lab_in core timeout 8 sftp -F none -i "$CORE_KEY" -P 2222 -o BatchMode=yes \
    -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -b <(echo ls /etc) \
    "stile@$EDGE_INNER"
says "not as root" 'Permission denied' "$(LOGIN=root ssh_edge "$CORE_KEY" id)"
says "no password is asked for" 'Permission denied \(publickey\)' "$(ssh_edge /dev/null id)"

# The edge's files ----------------------------------------------------------------------------------------------

is "core listens to its administrators alone" "$(lab_in core ss -Hlntu | awk '{ sub(/.*:/, "", $5); print $1, $5 }' | sort -u)" "tcp 445"
body=$(tail -n 3 "$CORE_KEY" | head -n 1)
refute "core's key is not among the edge's files" grep -rqF "$body" "$RUN/edge"
keys=0
while read -r key; do
    keys=$((keys + 1))
    says "${key##*/} does not log in to the edge as core does" 'Permission denied|invalid format|error in libcrypto' \
        "$(ssh_edge "$key" id)"
    for port in 22 443 2222; do
        refute "nor reaches core's port $port from the edge" tcp_open edge "$CORE_ADDRESS" $port
    done
done < <(grep -rlE -- '-----BEGIN ([A-Z]+ )?PRIVATE KEY' "$RUN/edge")
at_least "private keys that the edge has" $keys 1
for at in "$BRIDGE_ADDRESS 443" "$BRIDGE_ADDRESS 8088" "10.20.0.53 53"; do
    # shellcheck disable=SC2086 # address and port
    refute "the edge does not reach $at in the LAN" tcp_open edge $at
done

# Forged requests -----------------------------------------------------------------------------------------------

# From here the edge is the attacker's.
# Whatever core opens beside its bridge, its name server and its edge is seen here.
lab_in core nft -f - <<-END
	table inet watch {
	    counter elsewhere { }
	    chain out {
	        type filter hook output priority 0;
	        ct state != new accept
	        meta l4proto { tcp, udp } th dport 53 ip daddr 10.20.0.53 accept
	        tcp dport 443 ip daddr $BRIDGE_ADDRESS accept
	        tcp dport 443 ip6 daddr $BRIDGE_ADDRESS6 accept
	        tcp dport 2222 ip daddr $EDGE_INNER accept
	        meta l4proto { tcp, udp } counter name elsewhere
	    }
	}
	END

cp "$ROOT/tests/lab/forge.js" "$RUN"
forge_start node "$RUN/forge.js" @OUT@
before=$(wc -l <"$LAB/bridge/log/nginx-access.log")
lab_stop core core
core_start
check "core opens data channels to the attacker" wait_for 30 "forge.js to end" forge_done
file=$(forge_done)
cp "$RUN"/forge/* "$LAB/log/" 2>/dev/null
rm -f "$LAB/log/host_key"
# Refused is a status that blames the request, or a stream that core ended without an answer.
while read -r line; do
    name=$(jq -r .name <<<"$line")
    got=$(jq -r .got <<<"$line")
    case $(jq -r .wanted <<<"$line") in
    served) is "served: $name" "$got" 200 ;;
    refused)
        if [[ $got =~ ^(400|403|405|421|501)$ || $got = stream\ * ]]; then
            pass "refused: $name ($got)"
        else
            fail "refused: $name (got $got)"
        fi
        ;;
    esac
done < <(jq -c 'select(.name)' "$file")
reached=$(tail -n +$((before + 1)) "$LAB/bridge/log/nginx-access.log")
at_least "the bridge saw the honest requests" "$(grep -c '/bulk/honest' <<<"$reached")" 2
keeps_quiet "and none of the forged ones" 'forged|CONNECT|/bulk/echo|passwd' "$reached"
is "core opened nothing elsewhere" \
    "$(lab_in core nft -j list counter inet watch elsewhere | jq '.nftables[].counter? // empty | .packets')" 0

# A key of the edge's past ---------------------------------------------------------------------------------------

# Core makes a new bundle, so that the box that was taken over loses its place. That one knows the public half of the bundle's
# host key, and says that it uses it.
lab_stop core core
check "core makes another bundle" lab_in core "$CORE" edge renew edge1 --dir "$RUN/core"
bundle_key=$(jq -r '.edges[0].bundle.key' "$RUN/core/keys.json")
says "whose host key is a new one" '^ssh-ed25519 ' "$bundle_key"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$LAB/tmp/thief"
cp "$ROOT/tests/lab/forge_control.js" "$RUN"
printf '#!/bin/sh\nexec node %s "%s" "%s" %s\n' "$RUN/forge_control.js" "$bundle_key" "$(cut -d' ' -f1,2 "$LAB/tmp/thief.pub")" \
    "$RUN/forge/told" >"$RUN/forge/control"
chmod 755 "$RUN/forge/control"
paired=$(grep -cE 'event="(Edge Paired|Host Key Replaced)"' "$LAB/log/core-core.log")
core_start
told() { [ "$(wc -l <"$RUN/forge/told")" -ge 4 ]; }
check "core tells it what it wants of keys" wait_for 30 "its answers" told
is "its claim settles nothing" "$(grep -cE 'event="(Edge Paired|Host Key Replaced)"' "$LAB/log/core-core.log")" "$paired"
refute "nor does core want the key that it offers" grep -q use_host_key "$RUN/forge/told"
is "the bundle waits for who has its key" "$(lab_in core "$CORE" edge list --json --dir "$RUN/core" | jq -r '.items[0].pairing')" waiting
check "and is there" test -s "$RUN/core/edge1.bundle"
tap_done
