#!/usr/bin/env bash
# Every row of docs/turn-conformance.md says yes or no, says why where it is no, and names tests that exist.
set -u
document=docs/turn-conformance.md
bad=0 rows=0
fail() { echo "not ok - lint: $document:$number: $*"; bad=1; }

# exists FILE NAME : a test function of a C file, or words of a script's claim.
exists() {
    local file=$1
    [[ $file = */* ]] || file=tests/unit/$file
    [ -f "$file" ] || return 1
    case $file in
        *.c) grep -qF "START_TEST($2)" "$file" ;;
        *) grep -qF -- "$2" "$file" ;;
    esac
}

number=0
while IFS= read -r line; do
    number=$((number + 1))
    [[ $line = '|'* && $line != '|---'* && $line != '| § |'* && $line != '| Known as |'* ]] || continue
    rows=$((rows + 1))
    IFS='|' read -r _ section rule status proof rest <<<"$line"
    [ -z "${rest// /}" ] && [ -n "${section// /}" ] && [ -n "${rule// /}" ] || fail "is not four cells"
    [[ $status =~ ^\ (yes(\ |,|;)|no:\ .) ]] || fail "its status is neither 'yes' nor 'no: why', but '$status'"
    named=0
    while read -r test; do
        named=$((named + 1))
        exists "${test%%: *}" "${test#*: }" || fail "there is no test ${test#*: } in ${test%%: *}"
    done < <(grep -oE '`[^`]+: [^`]+`' <<<"$proof" | tr -d '`')
    [ $named -gt 0 ] || fail "names no test"
done <"$document"
[ $rows -ge 100 ] || { echo "not ok - lint: $document has only $rows rows"; bad=1; }
[ $bad = 0 ] && echo "ok - lint: $rows rules of TURN have their tests"
exit $bad
