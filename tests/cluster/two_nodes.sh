#!/bin/sh
# A Ray cluster of two nodes, each in a network namespace of its own with a wire between them, and
# a command on its head. Neither can reach, or be reached by, anything else.
#   unshare -n -p -f --mount-proc sh two_nodes.sh PYTHON FOLDER [COMMAND ...]
# NODE: what each node has, as `ray start` takes it. HEAD: further options of the head.
set -e
python=$1 folder=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$(dirname "$python")
PATH=$bin:$PATH
export PATH PYTHONPATH="$root:$root/tests/support:$here${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1
export HOME="$folder/home" RAY_TMPDIR="$folder/ray"
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token RAY_ADDRESS=10.77.0.1:6399
mkdir -p "$HOME" "$RAY_TMPDIR"

ip link set lo up
unshare -n sleep infinity &
node=$!
while [ "$(readlink /proc/$node/ns/net)" = "$(readlink /proc/$$/ns/net)" ]; do sleep 0.05; done
ip link add name head0 type veth peer name node0
ip link set node0 netns $node
ip addr add 10.77.0.1/24 dev head0
ip link set head0 up
on_node() { nsenter -t $node -n "$@"; }
on_node ip link set lo up
on_node ip addr add 10.77.0.2/24 dev node0
on_node ip link set node0 up

# no `ray stop`: what is started here ends with this namespace of processes
{
	ray get-auth-token --generate >/dev/null
	ray start --head --node-ip-address=10.77.0.1 --port=6399 ${NODE:---num-cpus=1} \
		--object-store-memory=100000000 --temp-dir="$RAY_TMPDIR" \
		${HEAD:---include-dashboard=false}
	for try in 1 2 3 4 5; do # on a busy machine the head is not there at once
		on_node ray start --address=$RAY_ADDRESS --node-ip-address=10.77.0.2 \
			${NODE:---num-cpus=1} --object-store-memory=100000000 && break
		test $try != 5
	done
} >"$folder/start.log" 2>&1 || {
	tail -n 20 "$folder/start.log" >&2
	exit 1
}
"$@"
