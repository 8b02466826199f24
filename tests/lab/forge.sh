# shellcheck shell=bash
# An edge that was taken over, for tests that source boxes.sh: the sshd that core reaches is the attacker's own, with the
# edge's host key, and runs a program of its own where core expects a data channel. The control channel still goes to the
# edge, or, where there is one, to the program forge/control. For as long as the test runs, core gets what these programs send,
# and nothing from guests.
#
# forge_start COMMAND... : from core's next start on. COMMAND's words may hold @OUT@, a file of the run's own.
forge_start() {
    local dir=$RUN/forge original command=${*//@OUT@/$RUN\/forge\/out.\$\$}
    mkdir "$dir"
    original=$(sed -n 's/.*command="\([^"]*\)".*/\1/p' "$RUN"/edge/run/authorized_keys)
    cat >"$dir/command" <<-SCRIPT
	#!/bin/sh
	case \$SSH_ORIGINAL_COMMAND in
	data*) exec $command 2>>$dir/errors ;;
	*)
	    [ ! -e $dir/control ] || exec $dir/control 2>>$dir/errors
	    $original
	    ;;
	esac
	SCRIPT
    sed "s|command=\"[^\"]*\"|command=\"$dir/command\"|" "$RUN/edge/run/authorized_keys" >"$dir/authorized_keys"
    cp "$RUN/edge/ssh_host_ed25519_key" "$dir/host_key"
    chmod 755 "$dir/command"
    chmod 600 "$dir/host_key"
    chown -R 64711:64711 "$dir"
    lab_spawn edge forge setpriv --reuid 64711 --regid 64711 --clear-groups /usr/sbin/sshd -D -e -f /dev/null -p 2223 \
        -h "$dir/host_key" -o AuthorizedKeysFile="$dir/authorized_keys" -o StrictModes=no -o PidFile=none \
        -o MaxSessions=100 -o UsePAM=no
    need 5 "the attacker's sshd" lab_in edge sh -c 'ss -Hlnt | grep -q :2223'
    lab_in edge nft -f - <<-RULES
	table inet attacker {
	    chain in { type nat hook prerouting priority dstnat; iifname "inner" tcp dport 2222 redirect to :2223; }
	}
	RULES
}

# What a run of COMMAND that came to its end has written into @OUT@; nothing yet: false.
forge_done() { grep -l '"end":true' "$RUN"/forge/out.* | head -n 1 | grep .; }
