# shellcheck shell=bash
# Boxes of the lab with a Debian of their own: a bare root that mmdebstrap made, with systemd as its first process, in the box's
# network namespace and in namespaces of its own for processes, mounts, cgroups and host name.
#
# The bare root is made once, in $BUILD/lab-roots, with the packages that ours depend on waiting in apt's archive: a box has no way to
# the internet. Each box works on an overlay of it, which is gone with its mount namespace.

DEBIAN_SUITE=bookworm
DEBIAN_MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
DEBIAN_BASE=

# debian_base DEB... : makes the bare root, unless one is there that has what these packages depend on.
debian_base() {
    local key
    key=$(for deb in "$@"; do dpkg-deb -f "$deb" Depends; done | sha256sum | cut -c1-16)
    DEBIAN_BASE=$BUILD/lab-roots/$DEBIAN_SUITE-$key
    [ -e "$DEBIAN_BASE/.complete" ] && return
    rm -rf "$BUILD/lab-roots"
    mkdir -p "$DEBIAN_BASE"
    # With as little to download as works, and without a word to the disk: it may be lost in a crash, then it is made again.
    # In mounts of its own: what is run in the root gets /proc there.
    unshare --mount --propagation private bash -ec "
        mmdebstrap --quiet --mode=root --variant=apt --include=systemd-sysv,ca-certificates --dpkgopt=force-unsafe-io \
            --aptopt='APT::Install-Recommends \"false\"' $DEBIAN_SUITE '$DEBIAN_BASE' '$DEBIAN_MIRROR'
        cp --remove-destination /etc/resolv.conf '$DEBIAN_BASE/etc/resolv.conf'
        cp $* '$DEBIAN_BASE/srv'
        chroot '$DEBIAN_BASE' apt-get -qq update
        for deb in '$DEBIAN_BASE'/srv/*.deb; do
            chroot '$DEBIAN_BASE' apt-get -qq -y --download-only install \"/srv/\${deb##*/}\"
        done" >"$LAB/log/bare-debian.log" 2>&1 ||
        { echo "Bail out! no bare Debian could be made (is $DEBIAN_MIRROR reachable?)"; tail "$LAB/log/bare-debian.log"; exit 1; }
    rm -rf "$DEBIAN_BASE/srv"
    mkdir "$DEBIAN_BASE/srv"
    : >"$DEBIAN_BASE/.complete"
}

# debian_boot BOX: the box's Debian, up to systemd's basic.target. Fails where this machine has no cgroups to give away.
debian_boot() {
    local box=$1 root=$RUN/root-$1
    mkdir -p "$root"
    # The script's only process goes into a cgroup of its own before it makes that the root of all it sees.
    lab_spawn "$box" init unshare --mount --propagation private bash -c '
        set -e
        mkdir -p "$1/cgroup" "$1/root"
        mount -t cgroup2 cgroup2 "$1/cgroup"
        mkdir -p "$1/cgroup/$2"
        echo $$ >"$1/cgroup/$2/cgroup.procs"
        umount "$1/cgroup"
        exec unshare --pid --cgroup --uts --ipc --mount --fork --kill-child bash -e -c "$4" init "$1" "$3"
        ' box "$root" "$(lab_ns "$box")" "$DEBIAN_BASE" "$(declare -f debian_init); debian_init \"\$1\" \"\$2\""
    wait_for 60 "systemd on $box" debian_is_up "$box"
}

# In the new namespaces: the overlay with what a container has, then its systemd. /proc/sys is this machine's, so it is only read.
debian_init() {
    local device
    mount -t tmpfs tmpfs "$1"
    mkdir "$1/upper" "$1/work" "$1/root"
    mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
    cd "$1/root" || exit
    mount -t proc proc proc
    mount --bind -o ro proc/sys proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty; do cp -a "/dev/$device" dev; done
    mkdir dev/shm dev/pts old
    ln -s pts/ptmx dev/ptmx
    cp /etc/resolv.conf etc/resolv.conf
    hostname lab
    pivot_root . old
    umount -l old
    exec env -i container=stile-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=multi-user.target
}

# debian_in BOX COMMAND... : runs it on that box, as its root.
debian_in() {
    local spawned init
    spawned=$(lab_pid "$1" init)
    init=$(cat "/proc/$spawned/task/$spawned/children" 2>/dev/null) # one number and a blank
    [ -n "$init" ] || return 1
    shift
    nsenter --target "${init% }" --mount --pid --net --cgroup --uts --ipc --root --wd \
        env -i HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# "degraded" is up, too: units that want hardware fail in a container.
debian_is_up() {
    [[ "$(debian_in "$1" systemctl is-system-running 2>/dev/null)" =~ ^(running|degraded)$ ]]
}

# debian_put BOX FILE PATH: copies a file of this machine to the box, readable by its owner alone.
debian_put() { debian_in "$1" sh -c "umask 077; cat >'$3'" <"$2"; }

# Ends the boxes and takes their cgroups away.
debian_down() {
    local box pid
    for box in "$@"; do
        [ -e "$LAB/pid/$box-init" ] || continue
        debian_in "$box" journalctl --no-pager -o short-precise >"$LAB/log/$box-journal.log" 2>/dev/null
        lab_stop "$box" init KILL
        pid=$(lab_ns "$box")
        unshare --mount --propagation private bash -c '
            mount -t cgroup2 cgroup2 "$1" && cd "$1" && [ -d "$2" ] || exit
            for try in 1 2 3 4 5 6 7 8 9 10; do
                find "$2" -depth -type d -exec rmdir {} + 2>/dev/null
                [ -d "$2" ] || exit
                sleep 0.1
            done' cgroups "$LAB/tmp" "$pid"
    done
}
