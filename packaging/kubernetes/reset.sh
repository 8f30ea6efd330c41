#!/bin/sh
# Runs in the pod of a Plan of the system-upgrade-controller: as root, the node's root directory at $HOST_DIR (default /host), the node's process
# namespace shared. It gives the node another configuration and lets it reset itself. A second run, after that boot, finds the configuration in place and
# changes nothing, so that the Plan is done.
#
# CONFIG is the configuration, a file of the Plan's secret. It is a symbolic link there, so its content is copied, never the link.
set -eu
host=${HOST_DIR:-/host}
config=${CONFIG:-/run/system-upgrade/secrets/kairos-boot-reset/cloud-config.yaml}
target=$host/oem/90_custom.yaml

if [ ! -f "$config" ]; then
    echo "no configuration at $config: the Plan mounts the secret kairos-boot-reset" >&2
    exit 2
fi
if cmp -s "$config" "$target"; then
    echo "the node has this configuration: nothing to do"
    exit 0
fi

# What the node's own program knows of its boot loader, it does itself, in the node's own view of its disks.
inside() { nsenter --target 1 --mount --ipc -- "$@"; }

umask 077
cat "$config" >"$target.new"
chmod 0640 "$target.new"
sync "$target.new"
# The node judges what it is about to become: a configuration with an error, without an admin, or one that the reset would erase (reset-oem) changes nothing.
# The entry first: a cut before the rename leaves the old configuration and a reset, and the next run goes on; a cut behind it leaves a node that has the
# new configuration and resets itself.
code=0
inside /usr/bin/kairos-boot reset --next-boot --with /oem/90_custom.yaml.new || code=$?
if [ "$code" != 0 ]; then
    rm -f "$target.new"
    echo "the node keeps its configuration, and is not reset" >&2
    exit "$code"
fi
mv "$target.new" "$target"
sync "$host/oem"
echo "the node resets itself at its next boot, which is now"
inside systemctl reboot
# The job must not count as done before the node has been reset: its next run answers that.
sleep "${GRACE:-300}"
exit 1
