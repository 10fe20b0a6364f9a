#!/bin/bash
# Makes a machine of its own out of namespaces and runs the given command on it, without any privilege:
#   unshare --user --map-user=1000 --map-group=1000 --keep-caps --mount --net bash network_testbed.sh COMMAND...
# The machine has the addresses 127.0.0.1, 198.51.100.1 and, as a second one, 203.0.113.1; its resolver is 127.0.0.53.
# Its only neighbour, and default route, is 198.51.100.2: what listens there is started by "$NEIGHBOUR", a command.
# Ends with 77 and the reason where the kernel cannot do this.
set -u
cannot() { echo "$1" >&2; exit 77; }

ip link set lo up || cannot "no network namespace"
ip addr add 203.0.113.1/32 dev lo
# exec, so that the pid of the job is that of the process that keeps the namespace
unshare --net sleep 300 & far=$!
trap 'kill $far $near 2>/dev/null' EXIT
near=$far
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do kill -0 $far || cannot "no second namespace"; done
ip link add near type veth peer name far netns $far || cannot "no veth"
ip addr add 198.51.100.1/24 dev near && ip link set near up
nsenter --target $far --net ip addr add 198.51.100.2/24 dev far
nsenter --target $far --net ip link set far up
ip route add default via 198.51.100.2 || cannot "no route"
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
printf 'nameserver 127.0.0.53\n' > "$RESOLV_CONF"
mount --bind "$RESOLV_CONF" "$(readlink -f /etc/resolv.conf)" || cannot "no bind mount"
nsenter --target $far --net $NEIGHBOUR & near=$!
# The daemon is an ordinary user there: without capabilities.
setpriv --ambient-caps=-all --inh-caps=-all "$@"
