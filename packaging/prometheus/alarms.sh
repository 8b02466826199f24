#!/usr/bin/env bash
# Prints alarms.rules.yml: an alert for each alarm, in the words that 'stile-core alarm known' has for it.
#
#   packaging/prometheus/alarms.sh build/stile-core >packaging/prometheus/alarms.rules.yml
set -euo pipefail
cat <<'END'
# Made by packaging/prometheus/alarms.sh from the table of alarms: an alert for each of them, with its severity, cause and remedy.
# Whether something is wrong is the box's judgement; what is not critical has to last for a minute, as a restart does not.
groups:
  - name: stile-alarms
    rules:
END
"$1" alarm known | awk '
    # The alert is named like the alarm: tunnel_down, StileTunnelDown.
    function camel(name,    n, part, i, all) {
        n = split(name, part, "_")
        for (i = 1; i <= n; i++)
            all = all toupper(substr(part[i], 1, 1)) substr(part[i], 2)
        return all
    }
    function quoted(text) { gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }
    /^### / { number = substr($2, 1, length($2) - 1); words = $0; sub(/^### [0-9]+: /, "", words) }
    /^`/ { split($0, field, /[`, ]+/); name = field[2]; severity = field[3] }
    /^- Cause: / { cause = substr($0, 3) }
    /^- Remedy: / {
        print "      - alert: StileAlarm" camel(name)
        print "        expr: stile_alarm_active{number=\"" number "\"} > 0"
        if (severity != "critical")
            print "        for: 1m"
        print "        labels:"
        print "          severity: " severity
        print "        annotations:"
        print "          summary: " quoted("{{ $labels.instance }}: " words " (alarm " number ", {{ $value }} raised)")
        print "          description: " quoted(cause " " substr($0, 3))
    }'
