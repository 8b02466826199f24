#!/usr/bin/env bash
# The Debian packages have the version of the programs.
set -u
program=$(sed -n 's/^VERSION := //p' Makefile)
package=$(sed -n '1s/.*(\(.*\)).*/\1/p' packaging/debian/changelog)
if [ -n "$program" ] && [ "$program" = "$package" ]; then
    echo 'ok - lint: packages have the version of the programs'
else
    echo "not ok - lint: Makefile says version $program, packaging/debian/changelog says $package"
    exit 1
fi
