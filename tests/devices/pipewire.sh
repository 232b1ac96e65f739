#!/bin/sh
# Runs a command beside a PipeWire of its own; XDG_RUNTIME_DIR names an empty folder for it, and a
# D-Bus session is there (dbus-run-session).
pipewire &
one=$!
until [ -S "$XDG_RUNTIME_DIR/pipewire-0" ]; do sleep 0.1; done
wireplumber &
two=$!
"$@"
code=$?
kill $two $one
exit $code
