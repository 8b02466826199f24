#!/usr/bin/env bash
# A real Prometheus with the scrape config, rules and dashboard of packaging/: it reads both boxes over TLS with tokens, every query
# has an answer, and an alert fires when core is stopped, and ends when it is back. As docs/monitoring.md says, step by step.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

RULES=$ROOT/packaging/prometheus
check 'promtool takes the rules' promtool check rules "$RULES/stile.rules.yml" "$RULES/alarms.rules.yml"
check 'each alert fires when it should, and not before' promtool test rules "$ROOT/tests/lab/prometheus_rules.yml"

lab_up
lab_ca
lab_dns
bridge_start
pair_start
# Prometheus is on the box dns, in the LAN; the firewall lets it to the edge's admin port.
lab_in fwin nft insert rule inet stile forward ip saddr 10.20.0.53 ip daddr $EDGE_INNER tcp dport 445 accept

# The steps of the document. Its folder is one of this test.
folder=$LAB/tmp/prometheus
mkdir -p "$folder"
lab_in core "$CORE" admin token add prometheus --days 365 --dir "$RUN/core" >"$folder/core1.token"
lab_in edge "$EDGE" admin token add prometheus --days 365 --dir "$RUN/edge" >"$folder/edge1.token"
openssl x509 -in "$RUN/core/state/admin.pem" -out "$folder/core1.pem"
cp "$LAB/ca/ca.pem" "$folder/edge-ca.pem"
# What a test cannot wait for: 15 seconds.
sed -e "s|/etc/prometheus/stile/|$folder/|; s|/usr/share/stile/prometheus/|$RULES/|; s|_interval: 15s|_interval: 1s|" \
    "$RULES/prometheus.yml" >"$folder/prometheus.yml"
check 'promtool takes the scrape config' promtool check config "$folder/prometheus.yml"

# ask QUERY : how many samples it has. value QUERY: the first one's value.
PROMETHEUS=http://127.0.0.1:9090
ask() { lab_in dns curl -sf --data-urlencode "query=$1" $PROMETHEUS/api/v1/query | jq '.data.result | length'; }
has() { [ "$(ask "$1")" -ge "${2:-1}" ]; }
none() { [ "$(ask "$1")" = 0 ]; }

# A guest asks and relays before and while Prometheus looks: its rates have two samples.
traffic() {
    guest_gets_through
    lab_in guest timeout 20 "$BUILD/tests/lab/turn_probe" "server=$EDGE_PUBLIC:3478" "user=$TURN_USER" "password=$TURN_PASSWORD" \
        "peer=$BRIDGE_ADDRESS:9" >"$LAB/tmp/probe"
}
lab_spawn dns prometheus prometheus --config.file="$folder/prometheus.yml" --storage.tsdb.path="$LAB/tmp/tsdb" \
    --web.listen-address=127.0.0.1:9090 --log.level=warn
need 10 Prometheus lab_in dns curl -sf $PROMETHEUS/-/ready
check 'both boxes are scraped, over TLS and with a token' wait_for 10 'both targets' has 'up{job="stile"} == 1' 2
traffic
check "a guest's request is counted" wait_for 5 'the request' has 'stile_web_responses_by_code_total{code="200"} > 0'
check 'and its relay' wait_for 5 'the relay' has 'stile_turn_allocated_total > 0'
guest_gets_through
check 'quantiles of every stage are there' wait_for 10 'three stages' has 'stile:web_request_seconds:p99_5m > 0' 3
lab_in dns node "$ROOT/tests/lab/prometheus_queries.js" $PROMETHEUS "$ROOT/packaging/grafana/stile.json" >"$LAB/tmp/queries" 2>&1
is 'every query has an answer' $? 0
sed 's/^\(not \)\?ok/#  &/' "$LAB/tmp/queries"
check 'no critical alert fires on boxes that are well' none 'ALERTS{severity="critical",alertstate="firing"}'

for box in core edge; do
    lab_in $box curl -sk -H "Authorization: Bearer $(cat "$folder/${box}1.token")" https://127.0.0.1:445/metrics >"$LAB/tmp/$box.prom"
    check "promtool finds no fault in what $box serves" promtool check metrics <"$LAB/tmp/$box.prom"
    is "$box: the token only reads" "$(lab_in $box curl -sk -o /dev/null -w '%{http_code}' -X POST \
        -H "Authorization: Bearer $(cat "$folder/${box}1.token")" https://127.0.0.1:445/api/v1/reload)" 403
done

firing='ALERTS{alertname="StileAlarmNoTunnel",instance="edge1",severity="critical",alertstate="firing"}'
lab_stop core core
check 'an alert fires when core is stopped' wait_for 10 'the alert' has "$firing"
check 'and Prometheus says that it gets nothing from core' wait_for 5 'up' has 'up{instance="core1"} == 0'
core_start
check 'it is over when core is back' wait_for 15 'its end' none "$firing"
check 'and both boxes are scraped again' wait_for 10 'both targets' has 'up{job="stile"} == 1' 2
tap_done
