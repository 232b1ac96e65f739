#!/bin/sh
# A Ray cluster of one node, and a job on it; for namespaces of their own:
# unshare -n -p -f --mount-proc
#   sh one_node.sh PYTHON FOLDER kill|whole
set -e
python=$1 folder=$2 kills=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(dirname "$python")
export PYTHONPATH="$root:$root/tests/support:$here" RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1
export RAY_TMPDIR="$folder/ray" HOME="$folder/home" RAY_DISABLE_IMPORT_WARNING=1
mkdir -p "$RAY_TMPDIR" "$HOME" "$folder/films"
"$python" - <<'UP'
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    request = struct.pack("16sh", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
    fcntl.ioctl(any_socket, 0x8914, request)  # SIOCSIFFLAGS
UP
# no `ray stop`: what is started here ends with this namespace of processes
"$bin/ray" start --head --node-ip-address=127.0.0.1 --port=6399 --num-cpus=2 \
	--include-dashboard=false --object-store-memory=100000000 --temp-dir="$RAY_TMPDIR" \
	>"$folder/start.log" 2>&1
"$python" "$here/job.py" "$folder/films" auto "$kills"
