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
    "$(allow list --json | jq -c '[.items[] | [.source, .scheme, .host]]')" \
    '[["automatic","https","join.example.com"],["automatic","wss","join.example.com"]]'
is "what a rule allows is allowed, by that rule" "$(allow test wss://join.example.com/ws)" \
    'allow: rule 2 "Meeting Server web bridges" (wss, prefix /), to the bridges of join.example.com'
refute "what none allows ends with status 1" allow test https://join.example.com/x PATCH
is "and with what is missing" "$(allow test https://other.example.com/)" \
    'block: no rule is for host other.example.com port 443 (a guest gets 421)'

is "for programs, too" "$(allow test https://join.example.com/x GET --json | jq -c '[.allowed, .rule]')" '[true,1]'
is "also what is missing" "$(allow test https://other.example.com/ --json | jq -c '[.allowed, .status]')" '[false,421]'

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
is "takes the old ones away" "$(allow list --json | jq -r '.items[2:][].host')" new.example.com

# Two domains: rules go to the domain that their host belongs to.
pem=$(mktemp --suffix .pem)
echo '-----BEGIN CERTIFICATE-----' >"$pem"
check "init takes several join URLs, each with the bridges behind it" "$program" init --dir two --user "$(id -un)" \
    --join-url https://join.example.com --bridge 10.0.0.1 --join-url https://meet.example.org:8443 --bridge 10.0.0.2:9443 \
    --bridge 10.0.0.3 --bridge-ca "$pem" --core core1 --edge edge1=203.0.113.10
is "the first is the config's join URL" "$(jq -c '[.join_url, .web_proxy.targets, .web_proxy.bridge_ca]' two/stile.json)" \
    '["https://join.example.com",["10.0.0.1"],null]'
is "the others are web_proxy.domains" "$(jq -c .web_proxy.domains two/stile.json)" \
    '[{"join_url":"https://meet.example.org:8443","targets":["10.0.0.2:9443","10.0.0.3"],"bridge_ca":"bridge-ca-meet.example.org.pem"}]'
is "with the CA beside the config" "$(cat two/bridge-ca-meet.example.org.pem)" "$(cat "$pem")"
is "and every bundle's edge knows them" "$(jq -r .config two/edge1.bundle | jq -c '[.web_proxy.domains[].join_url]')" \
    '["https://meet.example.org:8443"]'
rm -f "$pem"
is "two domains have one host" "$("$program" init --dir three --user "$(id -un)" --join-url https://a.example \
    --join-url https://A.example:8443 --core c --edge e=192.0.2.1 2>&1 | sed 's/.*: web_proxy/web_proxy/')" \
    'web_proxy.domains[0].join_url: "https://A.example:8443" has the host of "https://a.example"; every domain needs a host of its own'
two() { "$program" allow "$@" --dir "$box/two"; }
is "the list has two rules for each" "$(two list --json | jq -c '[.items[] | [.source, .scheme, .host, .port, .domain]]')" \
    '[["automatic","https","join.example.com",443,"join.example.com"],["automatic","wss","join.example.com",443,"join.example.com"],["automatic","https","meet.example.org",8443,"meet.example.org"],["automatic","wss","meet.example.org",8443,"meet.example.org"]]'
is "a test says whose bridges serve it" "$(two test https://meet.example.org:8443/x)" \
    'allow: rule 3 "Meeting Server web bridges" (https, prefix /), to the bridges of meet.example.org'
refute "the port is part of it" two test https://meet.example.org/x
check "rules for several domains are imported" two import --user "$(id -un)" - \
    <<<$'Url\nhttps://meet.example.org/a\nhttps://docs.example.com/b\nhttps://join.example.com:444/c'
is "each to the domain of its host, others to the first" \
    "$(jq -c '[[.web_proxy.extra_rules[].host], [.web_proxy.domains[0].extra_rules[].host]]' two/stile.json)" \
    '[["docs.example.com","join.example.com"],["meet.example.org"]]'
is "they are exported together" "$(two export | tail -n +2 | cut -d, -f1 | tr '\r\n' '  ' | xargs)" \
    'https://docs.example.com/b https://join.example.com:444/c https://meet.example.org/a'

is "the file is for others to read" "$(stat -c %a core/stile.json)" 644
allow frob 2>/dev/null
is "wrong usage" $? 2
tap_done
