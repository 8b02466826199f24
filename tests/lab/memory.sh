# shellcheck shell=bash
# What a daemon holds: memory and descriptors of all processes of one program on one box.
#
# Memory is the proportional set size: pages that several workers share (the program, its libraries) count once.

# box_pids BOX PROGRAM : processes on BOX that run the file PROGRAM.
box_pids() {
    local pid
    for pid in $(ip netns pids "$(lab_ns "$1")"); do
        [ "$(readlink "/proc/$pid/exe")" != "$2" ] || echo "$pid"
    done
}

# box_memory BOX PROGRAM : KiB.
box_memory() {
    local files
    files=$(box_pids "$@" | sed 's|.*|/proc/&/smaps_rollup|')
    # shellcheck disable=SC2086 # a list of files
    awk '/^Pss:/ { sum += $2 } END { print sum + 0 }' $files /dev/null 2>/dev/null
}

# box_memory_own BOX PROGRAM : KiB without files: what the processes themselves have taken, whatever else this machine runs.
box_memory_own() {
    local files
    files=$(box_pids "$@" | sed 's|.*|/proc/&/smaps_rollup|')
    # shellcheck disable=SC2086 # a list of files
    awk '/^Pss_(Anon|Shmem):/ { sum += $2 } END { print sum + 0 }' $files /dev/null 2>/dev/null
}

# box_descriptors BOX PROGRAM
box_descriptors() {
    local folders
    folders=$(box_pids "$@" | sed 's|.*|/proc/&/fd|')
    # shellcheck disable=SC2086 # a list of folders
    find $folders -mindepth 1 2>/dev/null | wc -l
}

# memory_watch NAME BOX PROGRAM : from now on keeps the greatest value of box_memory, until memory_peak NAME asks for it. Of the
# processes of now, which are found once: looking for them takes more than asking them.
memory_watch() {
    local name=$1
    shift
    (
        peak=0
        files=$(box_pids "$@" | sed 's|.*|/proc/&/smaps_rollup|')
        while sleep 1; do
            # shellcheck disable=SC2086 # a list of files
            now=$(awk '/^Pss:/ { sum += $2 } END { print sum + 0 }' $files /dev/null 2>/dev/null)
            [ "$now" -le "$peak" ] || { peak=$now; echo "$peak" >"$LAB/tmp/peak-$name.new"; mv "$LAB/tmp/peak-$name.new" "$LAB/tmp/peak-$name"; }
        done
    ) &
    echo $! >"$LAB/pid/watch-$name"
    disown
}

memory_peak() {
    kill "$(cat "$LAB/pid/watch-$1")"
    cat "$LAB/tmp/peak-$1"
}
