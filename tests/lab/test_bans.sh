#!/usr/bin/env bash
# The ban list: an address that asks for a host that is not served is shut out, its neighbour is not; the ban ends by time or
# by hand, outlives a web worker, and never meets an exempt network; bans by hand need no offence.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
for host in 11 12 13; do ip -n "$(lab_ns guest)" address add 198.51.100.$host/24 dev net0; done
lab_ca
lab_dns
bridge_start

# settings JQ : changes the edge's config, and makes the running edge take it.
settings() {
    jq "$1" "$RUN/edge/stile.json" >"$LAB/tmp/stile.json" && cat "$LAB/tmp/stile.json" >"$RUN/edge/stile.json"
    [ -z "${2:-}" ] || lab_in edge "$EDGE" reload --dir "$RUN/edge" >"$LAB/tmp/reload" 2>&1
}

pair_init
settings '.bans = {refused: {threshold: 20, window: 600, duration: 600}, exempt: ["198.51.100.13/32"]}'
edge_start
core_start
need 10 "a request through both boxes" guest_gets_through

ban() { lab_in edge "$EDGE" ban "$@" --dir "$RUN/edge"; }
event() { grep -q "$1" "$LAB/log/edge-edge.log"; }
bans_are() { [ "$(ban list --json | jq -c '[.items[].address] | sort')" = "$1" ]; }

# served ADDRESS : a guest there gets an answer.
served() {
    guest_curl -4 --interface "198.51.100.$1" --max-time 3 -f -o /dev/null "https://$JOIN_HOST/bulk/hello"
}

# offend ADDRESS N : so many requests for another host.
offend() {
    guest_curl -4 --interface "198.51.100.$1" -H 'Host: other.example.com' -o /dev/null -w '%{http_code}\n' --http1.1 \
        "https://$JOIN_HOST/[1-$2]" 2>/dev/null | sort | uniq -c | awk '{ printf "%s%s x %s", sep, $1, $2; sep = ", " }'
}

is "fewer than the threshold are answered" "$(offend 11 19)" "19 x 421"
check "and ban nobody" served 11
is "one more" "$(offend 11 1)" "1 x 421"
check "bans the address" wait_for 5 "the ban" bans_are '["198.51.100.11"]'
refute "it gets no answer" served 11
check "its neighbour does" served 12
check "the list says what for" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' ban list --dir '$RUN/edge' |
    grep -q '198.51.100.11 .*refused .*allow list'"
check "it is an event" event 'event="Address Banned" address=198.51.100.11 category="refused"'
check "status counts it" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' status --json --dir '$RUN/edge' |
    jq -e '.bans.active == 1 and .bans.banned.refused == 1 and ([.web[].refused_banned] | add) > 0'"
lab_in edge "$EDGE" metrics --dir "$RUN/edge" >"$LAB/tmp/metrics"
check "and so do the figures, without the address" \
    sh -c "grep -q '^stile_bans_total{category=\"refused\"} 1\$' $LAB/tmp/metrics && ! grep -q 198.51.100 $LAB/tmp/metrics"

# Exempt: forty times the threshold would be enough for two bans.
is "an exempt address is answered whatever it asks" "$(offend 13 40)" "40 x 421"
check "and served" served 13
refute "nor is it banned by hand" ban add 198.51.100.13

# A worker that is started again shuts the same addresses out.
edge_status --json | jq -r '.workers[] | select(.worker | startswith("web")) | .pid' >"$LAB/tmp/pids"
xargs kill -KILL <"$LAB/tmp/pids"
need 15 "the workers to be started again" served 12
refute "a web worker that is started again shuts it out, too" served 11

check "a ban is removed by hand" ban remove 198.51.100.11
check "and the address is served" served 11
refute "what is not banned cannot be removed" ban remove 198.51.100.11
check "a ban by hand" ban add 198.51.100.12 --for 600 --reason "asked for it"
refute "counts at once" served 12
check "with its reason" sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' ban list --dir '$RUN/edge' | grep -q 'asked for it'"
check "a ban that ends, for programs" test "$(ban add 198.51.100.12 --for 1 --json | jq -r '.done | type')" = string
check "has an end" wait_for 10 "the end" served 12
check "which is an event" event 'event="Ban Ended" address=198.51.100.12'

# Changed while the edge runs.
check "a ban" ban add 198.51.100.12
settings '.bans.exempt += ["198.51.100.12/32"]' reload
check "of an address that becomes exempt is over with the reload" wait_for 5 "the end" served 12
settings '.bans.enabled = false' reload
is "switched off, nobody is banned" "$(offend 11 40)" "40 x 421"
check "not even after the next look of the workers" served 11
check "nobody is left" bans_are '[]'
refute "an address that is none is refused" ban add 198.51.100.999
tap_done
