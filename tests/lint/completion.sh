#!/usr/bin/env bash
# Bash completes every command of both programs, their words, and options, as --help has them.
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
build=$(realpath "${BUILD:-build}")
PATH=$build:$PATH
. packaging/completion/stile
# completes WANTED WORD... : the last word, which may be empty, becomes WANTED (among others).
completes() {
    local wanted=$1
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _stile
    [[ " ${COMPREPLY[*]} " = *" $wanted "* ]] || fail "completion of '$*' has no $wanted (but ${COMPREPLY[*]})"
}
for program in stile-core stile-edge; do
    while read -r verb; do
        completes "$verb" $program "${verb:0:2}"
    done < <($program --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
    completes --run-dir $program run --ru
    completes warning $program run --log-level w
done
completes --join-url stile-core init --j
completes import stile-core allow im
completes csr stile-edge cert ''
completes flush stile-core dns ''
completes token stile-core admin ''
completes remove stile-edge admin token ''
completes import "$build/stile-core" allow im
# What was typed so far, or the name of a file from elsewhere, is no part of what sed runs.
trap 'rm -rf "$folder"' EXIT
folder=$(mktemp -d)
for typed in "$folder/edge1.bundle" "./a/;1e touch $folder/ran;#" '('; do
    COMP_WORDS=(stile-edge join "$typed" '') COMP_CWORD=3 COMPREPLY=()
    said=$(_stile 2>&1)
    [ -z "$said" ] || fail "completion behind 'join $typed' says $said"
    [ ! -e "$folder/ran" ] || fail "completion behind 'join $typed' runs what stands in it"
done
[ $bad = 0 ] && echo 'ok - lint: completion of commands and options'
exit $bad
