#!/usr/bin/env bash
# What the workers of both boxes may do, as the kernel has it in /proc while they serve; and what happens to one that does something
# else: a debugger makes a worker ask for a system call that is not its own.
# shellcheck source=tests/lab/lab.sh
. "$(dirname "$0")/lab.sh"
# shellcheck source=tests/lab/boxes.sh
. "$ROOT/tests/lab/boxes.sh"

# workers BOX : "PID ROLE" of each, one a line.
workers() {
    local pid
    for pid in $(ip netns pids "$(lab_ns "$1")"); do
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | awk -v pid="$pid" '$2 == "worker" { print pid, $3 }'
    done
}

# worker BOX ROLE : the process of one.
worker() { workers "$1" | awk -v role="$2" '$2 == role { print $1; exit }'; }

# field PID NAME : from /proc/PID/status, all its numbers.
field() { awk -v name="$2:" '$1 == name { $1 = ""; print substr($0, 2) }' "/proc/$1/status"; }

# not_readable_by_its_account PID : another process of the account does not get at its memory, though it is its own.
not_readable_by_its_account() {
    ! setpriv --reuid 64711 --regid 64711 --clear-groups --no-new-privs cat "/proc/$1/environ" >/dev/null 2>&1
}

lab_up
lab_ca
lab_dns
bridge_start
pair_start

# What the kernel says ------------------------------------------------------------------------------------------

is 'the edge has its workers' "$(workers edge | cut -d' ' -f2 | sort -u | xargs)" 'admin turn web'
is 'core has its workers' "$(workers core | cut -d' ' -f2 | sort -u | xargs)" 'admin tunnel'
for box in edge core; do
    while read -r pid role; do
        name="$box's $role worker"
        is "$name has a filter of system calls" "$(field "$pid" Seccomp)" 2
        is "$name gets no new privileges" "$(field "$pid" NoNewPrivs)" 1
        is "$name is the account" "$(field "$pid" Uid | xargs) $(field "$pid" Gid | xargs)" \
            '64711 64711 64711 64711 64711 64711 64711 64711'
        is "$name has no group beside it" "$(field "$pid" Groups | xargs)" ''
        is "$name has no capability" "$(for set in CapInh CapPrm CapEff CapAmb; do field "$pid" $set; done | sort -u)" 0000000000000000
        is "$name leaves no core dump" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$pid/limits")" '0 0'
        check "$name is closed to others of its account" not_readable_by_its_account "$pid"
    done < <(workers $box)
    main=$(lab_pid $box $box)
    is "$box's main leaves no core dump" "$(awk '/^Max core file size/ { print $5, $6 }' "/proc/$main/limits")" '0 0'
    check "$box's main is closed to its workers' account" not_readable_by_its_account "$main"
done

# A worker that does something else -------------------------------------------------------------------------------

# turn_over BOX ROLE : its next wait for events becomes a question for its parent's number, which no worker asks.
turn_over() {
    local pid
    pid=$(worker "$1" "$2")
    timeout 20 strace -p "$pid" -e trace=epoll_wait,epoll_pwait -e inject=epoll_wait,epoll_pwait:retval=0:syscall=getppid \
        -o "$LAB/log/$1-strace.log" 2>/dev/null &
    wait_for 10 "the end of $1's $2 worker" process_gone "$pid"
    check "$1's $2 worker ends at a system call that is not its own" process_gone "$pid"
    wait
    check "$1 says which worker, and which call" wait_for 5 'the event' \
        grep -q "event=\"Worker Crashed\" worker=$2[0-9]* reason=\"killed: it tried getppid," "$LAB/log/$1-$1.log"
    wait_for 10 "another $2 worker on $1" worker_is_new "$1" "$2" "$pid"
    check "$1 has a new $2 worker" worker_is_new "$1" "$2" "$pid"
}

worker_is_new() {
    local now
    now=$(workers "$1" | awk -v role="$2" -v old="$3" '$2 == role && $1 != old { n++ } $1 == old { gone = 1 } END { print n + 0, gone + 0 }')
    [ "${now% *}" -ge 1 ] && [ "${now#* }" = 0 ]
}

turn_over edge web
turn_over edge turn
turn_over core tunnel
turn_over edge admin
wait_for 10 'a request' guest_gets_through
check 'guests get through after all that' guest_gets_through
tap_done
