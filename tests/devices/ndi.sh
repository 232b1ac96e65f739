#!/bin/sh
# Runs a command in a network of its own, with the name service that NDI needs. Root, Linux.
#   sh tests/devices/ndi.sh COMMAND...
set -e
if [ "$1" != inside ]; then
    exec unshare --net --mount sh "$0" inside "$@"
fi
shift
ip link set lo up
ip link set lo multicast on
ip route add 224.0.0.0/4 dev lo
mkdir -p /run/dbus /run/avahi-daemon
mount -t tmpfs tmpfs /run/dbus
mount -t tmpfs tmpfs /run/avahi-daemon
chown avahi /run/avahi-daemon
configuration=$(mktemp)
printf '[server]\nuse-ipv6=no\nallow-interfaces=lo\n[publish]\npublish-workstation=no\n' >"$configuration"
dbus-daemon --system --fork --nopidfile
avahi-daemon --daemonize --no-chroot --file "$configuration"
trap 'avahi-daemon --kill; rm -f "$configuration"' EXIT
"$@"
