#!/usr/bin/env bash
# `stile-core allow` as an administrator types it: list, test, import, export; no network is needed.
set -u
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/lab/tap.sh
. "$ROOT/tests/lab/tap.sh"
program=$(realpath "${BUILD:-$ROOT/build}")/stile-core
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
cd "$box" || exit 1

allow() { "$program" allow "$@" --dir "$box/core"; }
# import FILE OPTION... : as the account that runs this.
import() { allow import --user "$(id -un)" "$@"; }
# revision : of the config.
revision() { jq .revision core/stile.json; }

"$program" init --dir core --user "$(id -un)" --join-url https://join.example.com --core core1 \
    --edge edge1=203.0.113.10,public=203.0.113.10 >/dev/null

is "a fresh config has the two automatic rules" \
    "$(allow list --json | jq -c '[.[] | [.source, .scheme, .host]]')" \
    '[["automatic","https","join.example.com"],["automatic","wss","join.example.com"]]'
is "what a rule allows is allowed, by that rule" "$(allow test wss://join.example.com/ws)" \
    'allow: rule 2 "Meeting Server web bridges" (wss, prefix /)'
refute "what none allows ends with status 1" allow test https://join.example.com/x PATCH
is "and with what is missing" "$(allow test https://other.example.com/)" \
    'block: no rule is for host other.example.com port 443 (a guest gets 421)'

printf '%s\r\n' Url,Deployment,HttpMethods,MatchType,Description 'https://docs.example.com/guide,,GET,prefix,The guide' \
    >rules.csv
check "rules are imported" import rules.csv
is "the revision counts up" "$(revision)" 2
is "they are exported as they came" "$(allow export | cksum)" "$(cksum <rules.csv)"
ln -s link.csv link
check "they are exported into what a link names" allow export link
is "which stays a link, with the rules behind it" "$(readlink link) $(cksum <link.csv)" "link.csv $(cksum <rules.csv)"
check "imported again" import rules.csv
is "they change nothing" "$(revision)" 2
printf 'Url,ExpectedResult\nhttps://docs.example.com/guide/1,allow\nhttps://docs.example.com/other,block\n' >tests.csv
check "tests from a file hold" allow test --csv tests.csv
printf 'https://docs.example.com/guide/2,block\n' >>tests.csv
refute "one that does not is seen" allow test --csv tests.csv

before=$(cksum <core/stile.json)
printf 'Url\nhttps://a.example.com/\nhttp://b.example.com/\n' >bad.csv
is "a wrong line is named" "$(import bad.csv 2>&1)" \
    "stile-core allow import: bad.csv:3: Url: \"http://b.example.com/\": a URL that begins with https:// or wss:// is wanted"
is "and changes nothing" "$(cksum <core/stile.json)" "$before"
check "--replace" import --replace - <<<$'Url\nhttps://new.example.com/'
is "takes the old ones away" "$(allow list --json | jq -r '.[2:][].host')" new.example.com
is "the file is for others to read" "$(stat -c %a core/stile.json)" 644
allow frob 2>/dev/null
is "wrong usage" $? 2
tap_done
