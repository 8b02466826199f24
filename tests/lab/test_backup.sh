#!/usr/bin/env bash
# Both boxes backed up while they run, wiped, restored, and guests get through again; and what restore refuses.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# program BOX : its program, to be followed by a command.
program() { [ "$1" = core ] && echo "$CORE" || echo "$EDGE"; }

# on BOX COMMAND [OPTION]... : with the passphrase from a file; what it says goes to $LAB/tmp/said.
on() {
    local box=$1
    shift
    lab_in "$box" "$(program "$box")" "$@" --dir "$RUN/$box" --passphrase-file "$LAB/tmp/passphrase" >"$LAB/tmp/said" 2>&1
}

said() { grep -q -- "$1" "$LAB/tmp/said"; }

# files BOX : its files and what is in them, but what a running box changes.
files() { (cd "$RUN/$1" && find . -type f ! -path './run/*' ! -name '*.db' ! -name '*.db-*' ! -name '*.bundle' -exec sha256sum {} + | sort -k2); }

# event_is_told BOX : one of before the backup, out of events.db.
event_is_told() { lab_in "$1" "$(program "$1")" event list --dir "$RUN/$1" --json | jq -e --slurpfile first "$LAB/tmp/$1.event" '.items | any(. == $first[0])' >/dev/null; }
event_keep() { lab_in "$1" "$(program "$1")" event list --dir "$RUN/$1" --json | jq -e '.items[0]' >"$LAB/tmp/$1.event"; }

umask 077
echo 'correct horse battery staple' >"$LAB/tmp/passphrase"
lab_in edge "$EDGE" user add anna --dir "$RUN/edge" --password-stdin <<<'a long password' >"$LAB/log/edge-user.log" 2>&1

# Backups of running boxes ----------------------------------------------------------------------------------------

for box in core edge; do
    wait_for 10 "an event of $box" event_keep $box
    check "$box is backed up while it runs" on $box backup "$LAB/$box.backup"
    check "$box tells what is in it" said "files of ${box}1, config revision"
    is "the backup of $box is its owner's alone" "$(stat -c %a "$LAB/$box.backup")" 600
    refute "nothing can be read in the backup of $box" grep -qaE 'BEGIN|join_url|password' "$LAB/$box.backup"
    refute "an earlier backup of $box is not overwritten" on $box backup "$LAB/$box.backup"
    refute "a running $box is not restored over" on $box restore "$LAB/$box.backup"
    check "$box says that it runs" said 'stop it first'
    files $box >"$LAB/tmp/$box.before"
done
check "the database goes on: the user that was added is there" lab_in edge "$EDGE" user list --dir "$RUN/edge"
check 'guests get through beside that' guest_gets_through

# What is refused, before anything is changed -----------------------------------------------------------------------

lab_stop core core
lab_stop edge edge
for box in core edge; do
    mv "$RUN/$box" "$RUN/$box.gone"
done
refute "the edge does not take core's backup" on edge restore "$LAB/core.backup"
check 'and says whose it is' said 'a backup of stile-core, not of stile-edge'
echo 'incorrect horse battery staple' >"$LAB/tmp/passphrase"
refute 'a wrong passphrase restores nothing' on edge restore "$LAB/edge.backup"
check 'and is called that' said 'the passphrase is wrong, or the file is damaged'
echo 'correct horse battery staple' >"$LAB/tmp/passphrase"
head -c -100 "$LAB/edge.backup" >"$LAB/tmp/cut.backup"
refute 'a file without its end restores nothing' on edge restore "$LAB/tmp/cut.backup"
chmod 644 "$LAB/tmp/passphrase"
refute 'a passphrase that others may read is refused' on edge restore "$LAB/edge.backup"
chmod 600 "$LAB/tmp/passphrase"
refute 'nothing was made by all that' test -e "$RUN/edge"

# And the pair is back ------------------------------------------------------------------------------------------------

for box in core edge; do
    check "$box is restored" on $box restore "$LAB/$box.backup"
    is "$box has the files that it had" "$(files $box)" "$(cat "$LAB/tmp/$box.before")"
    is "the files of $box belong to the account" "$(find "$RUN/$box" ! -user 64711)" ''
    is "no log of a database that was open is in what $box got" "$(find "$RUN/$box/state" -name '*.db-*')" ''
    refute "$box is not restored twice without --force" on $box restore "$LAB/$box.backup"
    check "$box is, with it" on $box restore "$LAB/$box.backup" --force
done
edge_start
core_start
wait_for 15 'a request through both boxes' guest_gets_through
check 'guests get through the restored pair' guest_gets_through
check 'what happened before the backup is still told' event_is_told core
check 'by both boxes' event_is_told edge
check 'the TURN user is there again' sh -c "ip netns exec '$(lab_ns edge)' '$EDGE' user list --dir '$RUN/edge' | grep -q anna"
tap_done
