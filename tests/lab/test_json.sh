#!/usr/bin/env bash
# Every command with --json: one document, an object, nothing else on standard output, a list in "items". The commands are those
# of --help: one that this test does not know fails it.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start
T=$LAB/tmp
PASSWORD='a long password'
umask 077
echo 'correct horse battery staple' >"$T/passphrase"
echo 'not json' >"$T/wrong.json"

declare -A TRIED

# json BOX 'WORDS' CLAIM [ARGUMENT]... : `stile-BOX WORDS ARGUMENT... --json` succeeds, and CLAIM (jq) holds of what it prints. The words
# are those that --help has. What is on standard input is the command's.
json() { in_dir "$RUN/$1" 0 "$@"; }

# The same, where the exit status is 1.
json_no() { in_dir "$RUN/$1" 1 "$@"; }

in_dir() { # DIR STATUS BOX WORDS CLAIM [ARGUMENT]...
    local dir=$1 wanted=$2 box=$3 words=$4 claim=$5 program=$EDGE status=0
    shift 5
    TRIED["$box $words"]=1
    [ "$box" = edge ] || program=$CORE
    # shellcheck disable=SC2086 # words
    lab_in "$box" "$program" $words "$@" --json --dir "$dir" >"$T/out" 2>"$T/err" || status=$?
    is "$box $words: exit status" "$status" "$wanted"
    check "$box $words: one object, and $claim" jq -se "length == 1 and (.[0] | type == \"object\" and (has(\"type\") | not) and ($claim))" "$T/out"
}

# A box that stands up, and one that joins it -----------------------------------------------------------------------

in_dir "$T/core2" 0 core init '.bundles[0].edge == "edge9" and (.bundles[0].file | endswith("/edge9.bundle")) and .admin.user == "admin" and
    (.admin.password | length > 10) and .turn_users[0].name == "stile"' --join-url "https://$JOIN_HOST" --core core2 --edge edge9=10.9.9.9:2222
# Names that are not UTF-8 cannot be in JSON as they are: nothing else is missing for that.
in_dir "$T/"$'c\xf6re' 0 core init '.admin.password | length > 10' --join-url "https://$JOIN_HOST" --core core2 --edge edge9=10.9.9.9:2222
in_dir "$T/edge9" 0 edge join '.edge == "edge9" and .self_signed and (.admin.fingerprint | length == 95)' "$T/core2/edge9.bundle"

# What both boxes have ------------------------------------------------------------------------------------------------

for box in core edge; do
    json $box status '.name == "'$box'1"'
    json $box metrics '.text | startswith("# HELP")'
    json $box history '.step_s == 5 and (.items | all(.time and .age >= 0 and .requests >= 0))'
    json $box 'alarm known' '.items | length > 10 and all(.number > 0 and (.words | length > 0) and (.remedy | length > 0))'
    json $box 'event list' '.items | length > 0 and all(.name and .time)'
    json $box reload '.revision == 1'
    json $box 'config show' '.revision == 1'
    json $box 'admin user list' '.items[0].name == "admin"'
    json $box 'admin user add' '.done' mara --role reader <<<"$PASSWORD"
    json $box 'admin user password' '.done' mara <<<"$PASSWORD, too"
    json $box 'admin user role' '.done' mara admin
    json $box 'admin user remove' '.done' mara
    json $box 'admin token add' '.token | length > 20' scraper
    json $box 'admin token list' '.items[0].name == "scraper"'
    json $box 'admin token remove' '.done' "$(jq -r '.items[0].id' "$T/out")"
    json $box 'admin audit' '.items | length > 4 and all(.time and .what)'
    json $box backup '.name == "'$box'1" and .files > 4 and .revision == 1 and .bytes > 1000' "$LAB/$box.backup" --passphrase-file "$T/passphrase"
    in_dir "$T/$box.restored" 0 $box restore '.name == "'$box'1" and .revision == 1' "$LAB/$box.backup" --passphrase-file "$T/passphrase"
done

# Core ----------------------------------------------------------------------------------------------------------------

json core 'alarm list' '.items | type == "array"'
json core 'alarm ack' '.items | type == "array"' --all
json core 'config check' '.ok and .revision == 1'
json_no core 'config check' '(.ok | not) and .problem.line == 1' "$T/wrong.json"
json core 'config diff' '.same'
json core 'edge list' '.items[0].name == "edge1"'
json core 'edge add' '.name == "edge2" and .revision == 2' edge2=10.9.9.8:2222
json core 'edge renew' '.name == "edge2" and (.bundle | length > 0)' edge2
json core 'edge remove' '.name == "edge2" and .revision == 3' edge2
json core 'config history' '[.items[].revision] == [3, 2, 1]'
json core 'config history' '.text | contains("edge2")' 2
json core 'config rollback' '.revision == 4' 1
json core 'dns flush' 'length > 0'
json core 'key show' '.core_key and .edges[0].name == "edge1"'
json core 'key rotate' '.rotation' --secrets
json core 'key finish' '.rotation'
json core 'allow list' '.items | length > 0 and all(.rule and .host)'
json core 'allow test' '.allowed' "https://$JOIN_HOST/"
json_no core 'allow test' '.allowed | not' https://other.example.com/
printf 'Url,ExpectedResult,Deployment,Description,HttpMethod\nhttps://%s/,allow,,h\xf6me,GET\nhttps://other.example.com/,block,,,GET\n' "$JOIN_HOST" >"$T/tests.csv"
json core 'allow test' '[.items[] | .as_expected, .verdict.allowed] == [true, true, true, false]' --csv "$T/tests.csv"
printf 'Url,Deployment,HttpMethods,MatchType,Description\nhttps://%s/other/,,GET,prefix,mine\n' "$JOIN_HOST" >"$T/rules.csv"
json core 'allow import' '.added == 1 and .rules == 1 and .revision == 5' "$T/rules.csv"
json core 'allow import' '.added == 0 and .rules == 1 and .revision == 5' "$T/rules.csv"
json core 'allow export' '.items[0].path == "/other/"'
json core 'allow export' '.rules == 1 and (.file | endswith("/own.csv"))' "$T/own.csv"
json core 'allow export' '.rules == 1 and (.file | endswith("/?.csv"))' "$T/"$'\xf6.csv'
json core 'firewall print' '[.items[] | .of + (.name // "")] == ["outer", "inner", "edgeedge1"] and (.items | all(.rules | contains("table inet")))'
json core 'firewall print' '.items | length == 1' outer

# Edge ----------------------------------------------------------------------------------------------------------------

json edge 'alarm list' '.items[0].number == 306'
json edge 'alarm ack' '.items == [{number: 306, subject: "cert.pem"}]' 306
json_no edge 'cert show' '.certificates[0].file and .alarms[0].reason'
json edge 'cert csr' '(.request | startswith("-----BEGIN CERTIFICATE REQUEST-----")) and .key == "next_key.pem"'
json edge 'cert install' '.file and .key_from and (.replaced | type == "array")' "$LAB/edge1.pem" --key "$LAB/edge1.key"
boxes_relay
json edge 'relay list' '.left_out == 0 and (.items | any(.relayed == ["'"$RELAYED"'"]))'
json edge 'relay show' '.relayed == ["'"$RELAYED"'"] and .peers and .user' "$RELAYED"
check 'edge relay show: that there is none is said' sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' relay show '${RELAYED%:*}:1' --dir '$RUN/edge' 2>&1 | grep -q 'no relay has this address'"
json edge 'user add' '.done' anna <<<"$PASSWORD"
json edge 'user password' '.done' anna <<<"$PASSWORD, too"
json edge 'user list' '.items | any(.name == "anna")'
json edge 'user token' '.username and .password' anna
json edge 'user disable' '.done' anna
json edge 'user enable' '.done' anna
json edge 'user remove' '.done' anna
json edge 'ban add' '.done' 198.51.100.77
json edge 'ban list' '[.items[].address] == ["198.51.100.77"]'
json edge 'ban remove' '.done' 198.51.100.77

# Are those all? ------------------------------------------------------------------------------------------------------

# commands PROGRAM : all that it has, as --help and each command's own help say.
commands() {
    local program=$1 noun usage
    for noun in $("$program" --help | sed -n '/^Commands:/,/^$/s/^  *\([a-z]*\) .*/\1/p'); do
        usage=$("$program" "$noun" --help | sed '/^$/q' | sed -nE "s/^(usage:)? *stile-[a-z]+ ($noun .*|$noun$)/\2/p")
        [ -n "$usage" ] || echo "$noun: no usage"
        # The words before the first that is none: an option, an argument, a choice of arguments.
        awk '{ line = $1; for (i = 2; i <= NF && $i ~ /^[a-z|]+$/ && i <= 3; i++) line = line " " $i; print line }' <<<"$usage" |
            while read -r words; do # "user disable|enable|remove" are three
                for last in $(tr '|' ' ' <<<"${words##* }"); do echo "${words% *}" "$last" | awk '{ print $1 == $2 && NF == 2 ? $1 : $0 }'; done
            done
    done | sort -u
}
for box in core edge; do
    program=$EDGE
    [ $box = edge ] || program=$CORE
    # What runs on, and what is an argument's name.
    known=$(commands "$program" | grep -vxE 'run|turn' | sort)
    is "$box: every command of --help was tried" "$known" "$(printf '%s\n' "${!TRIED[@]}" | sed -n "s/^$box //p" | sort)"
    while read -r words; do
        [ "$words" != 'alarm known' ] || continue # needs no box
        # shellcheck disable=SC2086 # words
        refute "$box $words: fails without a box" sh -c "'$program' $words --json --dir '$T/none' >'$T/out' 2>'$T/err' </dev/null"
        check "$box $words: says so in words, and nothing for programs" sh -c "[ -s '$T/err' ] && [ ! -s '$T/out' ]"
    done <<<"$known"
done
tap_done
