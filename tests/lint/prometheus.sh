#!/usr/bin/env bash
# Grafana's dashboard and Prometheus' rules ask for metrics that the code has, the alerts of alarms are those of the table, and every
# other alert has severity, summary, cause and remedy, and a case in tests/lab/prometheus_rules.yml.
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
rules=packaging/prometheus/stile.rules.yml
known=$(grep -rohE '"stile_[a-z0-9_]*[a-z]"' --include='*.c' --include='*.h' edge core common | tr -d '"'
    sed -n '/define TURN_EVENT_TABLE/,/^$/s/^ *X(\([a-z_]*\),.*/stile_turn_\1_total/p' edge/turn/turn_counters.h)
while read -r metric; do
    grep -qxE "$metric|${metric%_bucket}|${metric%_sum}|${metric%_count}" <<< "$known" || fail "packaging asks for $metric, which no code writes"
done < <(grep -ohE '\bstile_[a-z0-9_]+' packaging/grafana/stile.json packaging/prometheus/*.rules.yml | sort -u)
jq -e '.schemaVersion and .__inputs[0].name == "DS_PROMETHEUS" and ([.panels[].id] | length == (unique | length))' \
    packaging/grafana/stile.json > /dev/null || fail 'packaging/grafana/stile.json is no dashboard'
diff packaging/prometheus/alarms.rules.yml <(packaging/prometheus/alarms.sh "${BUILD:-build}/stile-core") ||
    fail 'packaging/prometheus/alarms.rules.yml is not what packaging/prometheus/alarms.sh makes'
n=$(grep -c 'alert:' "$rules")
[ "$n" -ge 20 ] || fail "$rules has only $n alerts"
for part in 'severity: (critical|error|warning)$' 'summary: ' 'Cause: ' 'Remedy: '; do
    [ "$(grep -oE "$part" "$rules" | wc -l)" = "$n" ] || fail "not each of the $n alerts of $rules has $part"
done
while read -r alert; do
    grep -q "alertname=\"$alert\"" tests/lab/prometheus_rules.yml || fail "tests/lab/prometheus_rules.yml has no case of $alert"
done < <(sed -n 's/^ *- alert: //p' "$rules")
[ $bad = 0 ] && echo 'ok - lint: dashboard and rules ask for what there is'
exit $bad
