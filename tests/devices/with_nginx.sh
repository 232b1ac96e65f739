#!/bin/sh
# Runs a command with Debian's nginx and its RTMP module at hand: unpacked where NGINX says, not
# installed, so that no service is started.
set -eu
NGINX=$(mktemp -d)
export NGINX
trap 'rm -rf "$NGINX"' EXIT
(
    cd "$NGINX"
    apt-get download -qq nginx libnginx-mod-rtmp 2>/dev/null
    for package in *.deb; do dpkg -x "$package" .; done
    mkdir -p var/lib/nginx
)
"$@"
