#!/usr/bin/env bash
# docs/alarms.md has every alarm of the program, word for word.
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
build=${BUILD:-build}
known=$("$build/stile-core" alarm known) || fail 'stile-core alarm known does not work'
diff <(sed -n '/^### [0-9]/,$p' docs/alarms.md) - <<< "$known" ||
    fail "docs/alarms.md differs from 'stile-core alarm known': put its output below the heading 'The alarms'"
[ $bad = 0 ] && echo 'ok - lint: every alarm is documented'
exit $bad
