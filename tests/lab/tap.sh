# shellcheck shell=bash
# Says what a test found, a line for each claim: the Test Anything Protocol without its numbers.

TAP_COUNT=0
TAP_FAILED=0

diag() { printf '# %s\n' "$*" >&2; }

pass() {
    TAP_COUNT=$((TAP_COUNT + 1))
    echo "ok - $1"
}

fail() {
    TAP_COUNT=$((TAP_COUNT + 1))
    TAP_FAILED=$((TAP_FAILED + 1))
    echo "not ok - $1"
}

# check WHAT COMMAND... : passes if the command succeeds; shows what it printed if not.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$what"
    else
        fail "$what"
        diag "failed: $*"
        [ -z "$output" ] || printf '%s\n' "$output" | tail -n 20 | sed 's/^/#   /' >&2
    fi
}

# refute WHAT COMMAND... : passes if the command fails.
refute() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        fail "$what"
        diag "should have failed: $*"
        printf '%s\n' "$output" | tail -n 20 | sed 's/^/#   /' >&2
    else
        pass "$what"
    fi
}

# is WHAT GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        diag "got '$2', wanted '$3'"
    fi
}

# at_most WHAT GOT LIMIT, at_least WHAT GOT LIMIT : whole numbers; the figure is part of the line.
at_most() {
    if [[ "$2" =~ ^-?[0-9]+$ ]] && [ "$2" -le "$3" ]; then pass "$1 ($2)"; else fail "$1 (got '$2', at most $3)"; fi
}

at_least() {
    if [[ "$2" =~ ^-?[0-9]+$ ]] && [ "$2" -ge "$3" ]; then pass "$1 ($2)"; else fail "$1 (got '$2', at least $3)"; fi
}

# Ends a test: its exit status says whether every claim held.
tap_done() {
    echo "1..$TAP_COUNT"
    [ "$TAP_FAILED" = 0 ] && [ "$TAP_COUNT" -gt 0 ]
    exit
}
