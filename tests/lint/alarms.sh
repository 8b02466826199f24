#!/usr/bin/env bash
# docs/alarms.md has every alarm of the program, word for word, and tests/lab/test_alarms.sh raises and clears each of them by what
# really causes it, but for 405, which takes tens of thousands of users at one time: tests/lab/test_turn_many.sh
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
build=${BUILD:-build}
known=$("$build/stile-core" alarm known) || fail 'stile-core alarm known does not work'
diff <(sed -n '/^### [0-9]/,$p' docs/alarms.md) - <<< "$known" ||
    fail "docs/alarms.md differs from 'stile-core alarm known': put its output below the heading 'The alarms'"
while read -r number; do
    [ "$number" = 405 ] || grep -qE "^ *(raised [a-z]+|certificate) $number\b" tests/lab/test_alarms.sh ||
        fail "tests/lab/test_alarms.sh does not raise alarm $number"
done < <(grep -oE '^### [0-9]+' <<< "$known" | cut -d' ' -f2)
[ $bad = 0 ] && echo 'ok - lint: every alarm is documented and raised by a test'
exit $bad
