#!/usr/bin/env bash
# The systemd units: what 'make install' installs of them is understood by systemd, and hardened (exposure of 2.0 at most).
set -u
bad=0
fail() { echo "not ok - lint: $*"; bad=1; }
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s BUILD="${BUILD:-build}" DESTDIR="$root" PREFIX=/usr install || fail 'make install does not work'
units=$root/usr/lib/systemd/system
for file in sbin/stile-core sbin/stile-edge share/man/man8/stile-core.8 share/man/man8/stile-edge.8 share/man/man5/stile.json.5 \
    share/doc/stile/LICENSE share/stile/stile.schema.json share/stile/prometheus/stile.rules.yml \
    share/stile/prometheus/alarms.rules.yml share/stile/prometheus/prometheus.yml share/stile/grafana/stile.json lib/sysusers.d/stile.conf lib/tmpfiles.d/stile.conf lib/systemd/system/stile-core.path; do
    [ -s "$root/usr/$file" ] || fail "make install does not install $file"
done
grep -rn '@[a-z]*@' "$units" && fail 'make install leaves placeholders in units'
# AppArmor's parser takes the profiles; what the kernel here has of it does not matter.
for profile in stile-core stile-edge; do
    said=$(apparmor_parser --skip-kernel-load --skip-cache --skip-read-cache -QT "$root/etc/apparmor.d/$profile" 2>&1 | grep -v '^Cache read/write disabled')
    [ -z "$said" ] || fail "the AppArmor profile $profile: $said"
    grep -q "^AppArmorProfile=-$profile$" "$units/$profile.service" || fail "$profile.service does not name its AppArmor profile"
done
# What the daemons themselves write in /etc/stile, each also as the temporary file that is renamed: the profiles let them.
shopt -s extglob
may_write() { # PROFILE FILE
    local rule
    while read -r rule; do
        rule=${rule//\{/@(} rule=${rule//,/|} rule=${rule//\}/)}
        # shellcheck disable=SC2053
        [[ $2 == $rule ]] && return
    done < <(sed -n 's:^ *owner /etc/stile/\([^ ]*\) rw,$:\1:p' "packaging/apparmor/$1")
    return 1
}
box_file() { sed -n "s/^#define $1 *\"\([^\"]*\)\".*/\1/p" common/box.h; }
for pair in stile-core:{CONFIG,SECRETS,KEYS,CORE_KEY,NEXT_CORE_KEY} stile-edge:{CONFIG,SECRETS,KEYS,HOST_KEY,NEXT_HOST_KEY}; do
    name=$(box_file "BOX_${pair#*:}")
    for file in "$name" "$name.AbCd12"; do
        { [ -n "$name" ] && may_write "${pair%:*}" "$file"; } || fail "the AppArmor profile ${pair%:*} does not let it write $file (BOX_${pair#*:})"
    done
done
may_write stile-core edge1.bundle.AbCd12 || fail 'the AppArmor profile stile-core does not let it write bundles'
if ! command -v systemd-analyze > /dev/null; then
    [ $bad = 0 ] && echo 'ok - lint: make install (no systemd-analyze here: units were not judged)'
    exit $bad
fi
for unit in "$units"/*.service; do
    judged=$(systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" 2>&1) ||
        fail "$(basename "$unit") is not hardened enough: $(tail -n 1 <<< "$judged")"
    # Directives that systemd does not know or understand are warnings of its own, with file and line.
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1 | grep -F "$units" | grep -v 'is not executable')
    [ -z "$said" ] || fail "$(basename "$unit"): $said"
done
[ $bad = 0 ] && echo 'ok - lint: units are hardened, and installed'
exit $bad
