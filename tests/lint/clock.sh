#!/usr/bin/env bash
# Deadlines and durations are counted on the monotonic clock: libev's ev_now and time() are the time of day, which jumps when
# somebody sets it. Who wants the time of day (for a log line, a Date field, a certificate's end) stands in this list.
set -u
of_day='edge/web/request\.c|edge/edge_certificate\.c|edge/edge_status\.c|core/core_tunnels\.c|core/core_status\.c|common/daemon\.c'
hits=$(grep -rnE '\bev_(now|time)\(' common proto edge core --include='*.c' --include='*.h' | grep -vE "^($of_day):")
if [ -n "$hits" ]; then
    echo 'not ok - lint: deadlines are on the monotonic clock (common/clock.h)'
    echo "$hits" | sed 's/^/# /'
    exit 1
fi
echo 'ok - lint: deadlines are on the monotonic clock'
