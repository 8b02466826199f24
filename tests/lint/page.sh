#!/usr/bin/env bash
# The admin page asks nobody but its box and makes no markup out of text: its Content-Security-Policy would refuse the first, but only
# when somebody comes that way; nothing but this list refuses the second. Its modules import what exists.
set -u
page=common/admin/page
bad=0
fail() { echo "not ok - lint: $1"; sed 's/^/# /'; bad=1; }
never='innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\(|new Function|\bstyle="|<style|\bon[a-z]+="'
hits=$(grep -rnE "$never" $page) && fail "the page makes no markup out of text" <<<"$hits"
hits=$(grep -rnE '(https?:)?//[a-z0-9-]+\.[a-z]' $page | grep -v 'http://www.w3.org/2000/svg') && fail "the page names no other host" <<<"$hits"
while IFS=: read -r file module; do
    [ -f "$(dirname "$file")/$module" ] || fail "$file imports $module, which does not exist" </dev/null
done < <(grep -roE "from '\./[^']+'|from '\.\./[^']+'" $page --include='*.js' | sed "s/from '//; s/'$//")
while read -r name; do
    [ -f "$page/$name" ] || fail "index.html names $name, which does not exist" </dev/null
done < <(grep -oE '(href|src)="/[^"]+"' $page/index.html | sed -E 's/.*="\/|"$//g')
for script in $(find $page -name '*.js'); do
    said=$(node --check --input-type=module <"$script" 2>&1) || fail "$script is no module" <<<"$said"
done
[ $bad = 0 ] && echo 'ok - lint: the admin page is its own, and text stays text'
exit $bad
