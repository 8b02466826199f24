#!/usr/bin/env bash
# packaging/stile.schema.json is what the program's own rows say; it takes what the program takes (what init makes, the manual's
# example), and refuses what is wrong by type, range, word or key.
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/stile-core" schema > "$work/schema.json" || fail 'stile-core schema does not work'
cmp -s "$work/schema.json" packaging/stile.schema.json ||
    fail "packaging/stile.schema.json is not what the program says; run: $build/stile-core schema >packaging/stile.schema.json"
"$build/stile-core" init --dir "$work/core" --join-url https://join.example.com --join-url https://meet.example.org:8443 --core core1 \
    --edge 'edge1=192.0.2.10,public=203.0.113.10,relay=192.0.2.10=203.0.113.10,https_port=8443' --allow-peer 10.0.0.0/8 --user "$(id -un)" \
    > "$work/init" 2>&1 # as root, without an account for the daemons, it makes no admin user and says so
[ -s "$work/core/stile.json" ] || fail "stile-core init does not work: $(cat "$work/init")"
jq '.web_proxy.extra_rules = [{"host": "join.example.com", "path": "/x", "match": "exact", "methods": ["GET"]}]' \
    "$work/core/stile.json" > "$work/right.json"
sed -n '/^\.Bd -literal/,/^\.Ed/p' docs/man/stile.json.5 | sed '1d;$d;s/\\e/\\/g;s/\\&//g' | sed "s/AAAA\.\.\./AAAAC3NzaC1lZDI1NTE5AAAAI$(printf "%043d" 0)/" > "$work/manual.json"
if ! python3 -c 'import jsonschema' 2> /dev/null; then
    [ $bad = 0 ] && echo 'ok - lint: the JSON schema is that of the code (no python3-jsonschema here: configs were not judged by it)'
    exit $bad
fi
# Cases of the corpus up to the first about what a schema cannot say are judged; each is made of the right config by jq.
n=0
while IFS=$'\t' read -r name change key words line; do
    [ "$name" = "two edges of one name" ] && break
    case $words in *'the lower first'* | *contradict* | *'must not be less'*) continue ;; esac
    n=$((n + 1))
    jq "$change" "$work/core/stile.json" > "$work/wrong-$n.json"
    echo "$name" > "$work/wrong-$n.name"
done < tests/corpus/config/wrong.txt
said=$(python3 - "$work" << 'END'
import glob, json, sys
import jsonschema
work = sys.argv[1]
schema = json.load(open(work + '/schema.json'))
jsonschema.Draft202012Validator.check_schema(schema)
judge = jsonschema.Draft202012Validator(schema)
for name in ('core/stile.json', 'right.json', 'manual.json'):
    for error in judge.iter_errors(json.load(open(work + '/' + name))):
        print('%s: %s: %s' % (name, error.json_path, error.message))
for name in glob.glob(work + '/wrong-*.json'):
    if judge.is_valid(json.load(open(name))):
        print('the schema takes: ' + open(name[:-4] + 'name').read().strip())
END
) || fail 'the schema cannot be used'
[ -z "$said" ] || fail "$said"
[ "$n" -ge 25 ] || fail "only $n wrong configs were judged"
[ $bad = 0 ] && echo "ok - lint: the JSON schema is that of the code; configs judged by it"
exit $bad
