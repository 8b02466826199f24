#!/usr/bin/env bash
# Include direction: common <- proto <- common/admin <- {edge, core}; edge and core never include each other; proto/ has no loop, log or descriptor.
set -u
bad=0
complain() { # pattern, what is wrong, files...
    local pattern=$1 what=$2
    shift 2
    local hits
    hits=$(grep -rnE "$pattern" "$@" --include='*.c' --include='*.h') || return 0
    echo "not ok - lint: $what"
    echo "$hits" | sed 's/^/# /'
    bad=1
}
complain '#include "(proto|edge|core|common/admin)/' 'common/ includes nothing above it' common/*.[ch]
complain '#include "(edge|core)/' 'common/admin/ includes nothing above it' common/admin
complain '#include "(edge|core|common/admin)/' 'proto/ includes nothing above it' proto
complain '#include "core/' 'edge/ does not include core/' edge
complain '#include "edge/' 'core/ does not include edge/' core
complain '#include (<ev.h>|<sys/socket.h>|<unistd.h>|<time.h>|"common/(log|stream|sock|ipc|file)\.h")' \
    'proto/ has no descriptor, clock, loop or log' proto
[ $bad = 0 ] && echo 'ok - lint: include direction'
exit $bad
