#!/usr/bin/env bash
#
# The service under a real systemd: a Debian container made with debootstrap and booted with systemd-nspawn, in which
# ./install.sh is run as an administrator would, on this very tree. Run as root, outside of the test suite.

set -euo pipefail

usage() {
  cat <<'TEXT'
usage: tests/system/nspawn.sh --cache DIR [--suite NAME] [--mirror URL] [--bind-ro PATH]... [--copy PATH]...
                              [--setenv NAME=VALUE]... [--keep]

  --cache DIR      keeps the base system and its packages from one time to the next
  --bind-ro PATH   shows a path of this machine in the container (a mirror of a package index on disk, say)
  --copy PATH      copies a file of this machine to the same place in the container (certificates, pip.conf)
  --setenv N=V     given to the commands in the container and to the service
  --mirror URL     where debootstrap gets packages, instead of its own choice
  --keep           leaves the container's files in DIR/container
TEXT
}

SUITE=bookworm MIRROR="" CACHE="" KEEP=false
BINDS=() COPIES=() VARIABLES=()
while (($# > 0)); do
  case $1 in
    --cache) CACHE=$(mkdir -p -- "$2" && cd -- "$2" && pwd -P) && shift 2 ;;
    --suite) SUITE=$2 && shift 2 ;;
    --mirror) MIRROR=$2 && shift 2 ;;
    --bind-ro) BINDS+=("--bind-ro=$2") && shift 2 ;;
    --copy) COPIES+=("$2") && shift 2 ;;
    --setenv) VARIABLES+=("$2") && shift 2 ;;
    --keep) KEEP=true && shift ;;
    *) usage >&2 && exit 2 ;;
  esac
done
[[ -n $CACHE ]] || { usage >&2; exit 2; }
((EUID == 0)) || { echo "error: this needs root" >&2; exit 1; }

CLONE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
readonly CLONE BASE=$CACHE/$SUITE ROOT=$CACHE/container SOURCE=/srv/dlt-runtime
readonly INCLUDED=systemd,systemd-sysv,dbus,ca-certificates,iproute2,procps,python3,python3-venv
WRONG=0 NSPAWN="" LEADER=""

say() { printf '\n==> %s\n' "$1"; }
saw() { printf '    %-44s %s\n' "$1" "$2"; }
expect() { # WHAT SEEN PATTERN
  if [[ $2 =~ ^($3)$ ]]; then
    saw "$1" "$2"
  else
    saw "$1" "$2   (WRONG, expected $3)"
    WRONG=$((WRONG + 1))
  fi
}
inside() { # as root of the container, in an environment of its own
  nsenter -t "$LEADER" -m -u -i -n -p -C -r -w env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 "${VARIABLES[@]}" "$@"
}
property() { inside systemctl show --value --property="$1" dlt-runtime; }
until_true() { # WHAT COMMAND...
  local what=$1 deadline=$((SECONDS + 300))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { echo "error: not within 300 s: $what" >&2; exit 1; }
    sleep 0.2
  done
}
finish() {
  local status=$?
  trap - EXIT
  [[ -z $NSPAWN ]] || { kill -TERM "$NSPAWN" 2>/dev/null && wait "$NSPAWN" 2>/dev/null; } || true
  "$KEEP" || rm -rf -- "$ROOT"
  exit "$status"
}
trap finish EXIT

say "The container: Debian $SUITE"
if [[ ! -e $BASE/.complete ]]; then
  rm -rf -- "$BASE" && mkdir -p -- "$CACHE/packages"
  debootstrap --variant=minbase --include="$INCLUDED" --cache-dir="$CACHE/packages" "$SUITE" "$BASE" ${MIRROR:+"$MIRROR"} >"$CACHE/debootstrap.log"
  touch -- "$BASE/.complete"
fi
rm -rf -- "$ROOT" && cp -a -- "$BASE" "$ROOT"
mkdir -p -- "$ROOT$SOURCE"
(cd -- "$CLONE" && git ls-files -z --cached --others --exclude-standard | tar -c --null --files-from=- --ignore-failed-read 2>/dev/null) |
  tar -x -C "$ROOT$SOURCE" --no-same-owner
for path in "${COPIES[@]}"; do
  mkdir -p -- "$ROOT$(dirname -- "$path")" && cp -L -- "$path" "$ROOT$path"
done
mkdir -p -- "$ROOT/etc/default"
((${#VARIABLES[@]} == 0)) || printf '%s\n' "${VARIABLES[@]}" >"$ROOT/etc/default/dlt-runtime"
systemd-nspawn --quiet --directory="$ROOT" --machine=dlt-runtime-test --register=no --keep-unit --resolv-conf=copy-host \
  --bind=/dev/net/tun "${BINDS[@]}" --boot >"$CACHE/boot.log" 2>&1 </dev/null &
NSPAWN=$!
leader() { LEADER=$(cut -d' ' -f1 "/proc/$NSPAWN/task/$NSPAWN/children") && [[ -n $LEADER ]]; }
until_true "the container starts" leader
leader
is_up() { [[ $(inside systemctl is-system-running) =~ running|degraded ]]; }
until_true "the container is up" is_up
saw "systemd" "$(inside systemctl --version | head -1), $(inside systemctl is-system-running)"

say "./install.sh"
began=$SECONDS
inside bash -c "cd $SOURCE && ./install.sh" >"$CACHE/install.log" 2>&1 || { tail -30 "$CACHE/install.log"; exit 1; }
saw "took" "$((SECONDS - began)) s"
expect "the unit" "$(property ActiveState)/$(property SubState), $(property Type)" "active/running, notify"
expect "it runs as" "$(property User)" "dlt-runtime"
expect "the socket" "$(inside stat -c '%U:%G %a' /run/dlt-runtime/api.sock)" "dlt-runtime:dlt-runtime 660"
expect "the state" "$(inside stat -c '%U %a' /var/lib/dlt-runtime)" "dlt-runtime 700"
exposure=$(inside systemd-analyze security --no-pager dlt-runtime | sed -n 's/.*Overall exposure level[^:]*: \([0-9.]*\).*/\1/p')
expect "systemd-analyze security" "$exposure" "[0-3]\.[0-9]"

LINK='
import urllib.error, urllib.request
try:
    answer = urllib.request.urlopen("http://127.0.0.1/w/00000000-0000-4000-8000-000000000001", timeout=20)
    print(answer.status, answer.url)
except urllib.error.URLError as error:
    print(error.reason)'
link() { inside python3 -c "$LINK"; }
expect "a link without a port, as the client prints" "$(link)" "200 http://127\.0\.0\.1/login.*"

say "The example"
inside cp -r "$SOURCE/examples/fruitshop" /root/fruitshop
cat >"$ROOT/root/fruitshop/slow.py" <<'PY'
import time

for number in range(1, 3001):
    print("counted", number, flush=True)
    time.sleep(0.05)
PY
command() { inside env --chdir=/root/fruitshop dlt-runtime "$@"; }
command deploy >"$CACHE/deploy.log" 2>&1 || { tail -20 "$CACHE/deploy.log"; exit 1; }
job=$(command job list --json | python3 -c '
import json, sys
listed = json.load(sys.stdin)
jobs = listed if isinstance(listed, list) else listed["items"]
print(next(job["job_ref"] for job in jobs if "pipeline_name:" in json.dumps(job)))')
began=$SECONDS
status=0
command launch "$job" -f >"$CACHE/example.log" 2>&1 || status=$?
expect "$job" "exit status $status after $((SECONDS - began)) s" "exit status 0 .*"

say "doctor, which the daemon answers as its own user, under the unit"
status=0
command doctor >"$CACHE/doctor.log" 2>&1 || status=$?
sed 's/^/    /' "$CACHE/doctor.log"
expect "doctor" "exit status $status" "exit status 0"
expect "it could look at the clock and at namespaces" "$(grep -c -E 'clock|namespaces' "$CACHE/doctor.log" || true)" "[2-9]"

say "A run outlives what happens to the service (a line every 50 ms)"
command launch slow.py >"$CACHE/slow.log" 2>&1
lines() { command logs slow 2>/dev/null | grep -c "counted"; }
has_begun() { (($(lines) > 20)); }
until_true "the run prints" has_begun
survive() { # WHAT COMMAND...
  local what=$1 before after
  shift
  before=$(property MainPID)
  "$@" >>"$CACHE/survive.log" 2>&1
  until_true "the service is there again" is_another "$before"
  after=$(lines)
  expect "$what" "pid $before -> $(property MainPID), $(property ActiveState), $after lines so far" "pid [0-9]+ -> [0-9]+, active, [0-9]+ lines.*"
}
is_another() { [[ $(property MainPID) != "$1" && $(property MainPID) != 0 && $(property ActiveState) == active ]] && lines; }
kill_hard() { inside kill -9 "$(property MainPID)"; }
upgrade() { inside bash -c "cd $SOURCE && sed -i 's/^version = .*/version = \"0.1.1\"/' pyproject.toml && ./install.sh"; }
survive "systemctl restart" inside systemctl restart dlt-runtime
survive "kill -9 of the daemon" kill_hard
expect "restarts by systemd" "$(property NRestarts)" "1"
expect "a link without a port" "$(link)" "200 .*"
survive "./install.sh of another version" upgrade
expect "the version now" "$(inside dlt-runtime --version)" ".*0\.1\.1.*"
has_ended() { command logs slow 2>/dev/null | grep -q "counted 3000"; }
until_true "the run ends" has_ended
numbers=$(command logs slow | sed -n 's/.*counted \([0-9]*\)$/\1/p')
expect "every line once and in order" "$(diff <(echo "$numbers") <(seq 1 3000) >/dev/null && echo yes || echo no)" "yes"

say "What the container looks like afterwards"
expect "a link without a port" "$(link)" "200 .*"
inside systemctl stop dlt-runtime
expect "a link without a port" "$(link)" ".*refused.*"
expect "the unit" "$(property ActiveState)" "inactive"
expect "sandboxes left" "$(inside pgrep -c bwrap || true)" "0"
expect "errors in the journal" "$(inside journalctl -u dlt-runtime --no-pager | grep -c -i -E 'traceback|"level": ?"error"' || true)" "0"
expect "processes left by the unit, its network apart" "$(inside ps -u dlt-runtime -o comm= | grep -v -E '^(pasta|passt|sleep)' -c || true)" "0"

if ((WRONG > 0)); then
  say "$WRONG things are wrong"
  exit 1
fi
say "All as it should be"
