#!/usr/bin/env bash
# What the documents name exists: paths of this tree, options of the programs, verbs.
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
mapfile -t documents < <(git ls-files '*.md')
for document in "${documents[@]}"; do
    # Paths in backquotes that begin with a top-level folder; a trailing * or {a,b} is a pattern.
    while read -r path; do
        compgen -G "$path" > /dev/null || fail "$document names $path, which does not exist"
    done < <(grep -oE '`(edge|core|common|proto|tests|packaging|docs|\.ci)/[A-Za-z0-9_./*-]+`' "$document" | tr -d '`' | sort -u)
    # Relative links.
    while read -r link; do
        [ -e "$(dirname "$document")/${link%%#*}" ] || fail "$document links to $link, which does not exist"
    done < <(grep -oE '\]\([A-Za-z0-9_./-]+(#[a-z0-9-]+)?\)' "$document" | sed 's/^](//; s/)$//' | sort -u)
done
# Options that the documents give to the programs, against what --help says.
build=${BUILD:-build}
for program in stile-edge stile-core; do
    while read -r verb option; do
        "$build/$program" "$verb" --help 2>/dev/null | grep -q -- "$option\b" ||
            fail "the documents name '$program $verb $option', which --help does not"
    done < <(cat "${documents[@]}" | grep -oE "$program [a-z]+ [^\`]*" | while read -r _ verb rest; do
        grep -oE -- '--[a-z][a-z-]+' <<< "$rest" | sed "s/^/$verb /"
    done | sort -u)
done
# Commands as they are typed in blocks of sh: the noun is one of the program's, and the verb one of the noun's.
while read -r program noun verb _; do
    help=$("$build/$program" "$noun" --help 2>/dev/null) || { fail "the documents type '$program $noun', which is no command"; continue; }
    verbs=$(grep -oE "($program|\.\.\.) $noun [a-z|]+" <<< "$help" | cut -d ' ' -f 3 | tr '|' '\n')
    [ -z "$verbs" ] || ! [[ $verb =~ ^[a-z]+$ ]] || grep -qx "$verb" <<< "$verbs" ||
        fail "the documents type '$program $noun $verb', which --help does not name"
done < <(cat "${documents[@]}" | sed -n '/^ *```sh$/,/^ *```$/p' | grep -oE '^ *(sudo )?stile-(core|edge) [a-z].*' |
    sed -E 's/^ *(sudo )?//; s/ #.*//' | sort -u)
# Every metric, and the events of TURN that are counted.
while read -r metric; do
    grep -q "\`$metric\`" docs/monitoring.md || fail "docs/monitoring.md does not name the metric $metric"
done < <(grep -ohE '"stile_[a-z_]*[a-z]"' edge/*metrics.c core/*metrics.c edge/turn/*metrics.c common/metrics_process.c common/status.c | tr -d '"' | sort -u
    sed -n '/define TURN_EVENT_TABLE/,/^$/s/^ *X(\([a-z_]*\),.*/stile_turn_\1_total/p' edge/turn/turn_counters.h)
[ $bad = 0 ] && echo 'ok - lint: documents name what exists'
exit $bad
