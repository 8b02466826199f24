#!/usr/bin/env bash
# Every key of the config stands in stile.json(5), every command and option of the programs in their man pages.
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
while read -r key; do
    grep -qE "^\.It Cm ([a-z_]+ , )*$key\b" docs/man/stile.json.5 || fail "docs/man/stile.json.5 does not name the key $key"
done < <(grep -oE '^    \{"[a-z_]+", SCHEMA_' common/config.c | cut -d'"' -f2
    sed -nE 's/^ +X\(([a-z0-9_]+), .*/\1/p' common/ban_categories.h common/web_limits.h)
build=${BUILD:-build}
for program in stile-core stile-edge; do
    while read -r verb; do
        grep -qE "^\.It Cm $verb$" "docs/man/$program.8" || fail "docs/man/$program.8 does not name the command $verb"
    done < <("$build/$program" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
done
for option in $("$build/stile-core" init --help | grep -oE '^  --[a-z-]+' | sed 's/ *--//'); do
    grep -qE -- "Fl -$option( |$)" docs/man/stile-core.8 || fail "docs/man/stile-core.8 does not name init --$option"
done
[ $bad = 0 ] && echo 'ok - lint: man pages are complete'
exit $bad
