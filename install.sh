#!/usr/bin/env bash
#
# Sets up the dlt Runtime appliance on a Debian or Ubuntu machine. Safe to run again: it then upgrades in place.

set -euo pipefail
umask 022
{ : <&0; } 2>/dev/null || exec </dev/null # started with stdin closed

usage() {
  cat <<'TEXT'
usage: ./install.sh [--host-network] [--allow-userns]
           install or upgrade the systemd service (root or sudo)
       ./install.sh --try DIR [JOB] [--host-network] [--allow-userns]
           deploy the dlt workspace DIR to a daemon that lives as long as this command, and run JOB
           (default: its first pipeline job); needs no systemd and leaves DIR as it is
       ./install.sh --test [PYTEST-ARGUMENT...]
           set up what the checks need and run them: format, lint, types, layers, tests
       ./install.sh --uninstall [--purge]
           remove the service; --purge also removes its data, settings and user

  --host-network   let jobs share this machine's network, where `pasta` cannot be had (weaker isolation)
  --allow-userns   on Ubuntu: add the AppArmor profile that lets bubblewrap make user namespaces
TEXT
}

readonly SERVICE=dlt-runtime SERVICE_USER=dlt-runtime TEST_USER=dlt-runtime-test
readonly PREFIX=/opt/dlt-runtime STATE=/var/lib/dlt-runtime SETTINGS=/etc/dlt-runtime
readonly UNIT=/etc/systemd/system/dlt-runtime.service COMMAND=/usr/local/bin/dlt-runtime
readonly LINKS_UNIT=/etc/systemd/system/dlt-runtime-links.socket
readonly APPARMOR_PROFILE=/etc/apparmor.d/dlt-runtime-bwrap
CLONE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
readonly CLONE
if ((EUID == 0)); then
  CACHE=/var/cache/dlt-runtime
else
  CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/dlt-runtime
fi
readonly CACHE

HOST_NETWORK=false
FOR_TESTS=false
ALLOW_USERNS=false
PYTHON="" # the interpreter everything is built with
AS=()     # prefix of commands that must not run as root, see `become`

say() { printf '\n==> %s\n' "$1"; }
note() { printf '    %s\n' "$@"; }
die() { # MESSAGE [HINT...]
  printf '\nerror: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf 'hint: %s\n' "$@" >&2
  exit 1
}
is_root() { ((EUID == 0)); }
need_root() { # start over through sudo
  is_root && return
  command -v sudo >/dev/null || die "this needs root, and there is no sudo" "without root: ./install.sh --try DIR"
  exec sudo -- "$CLONE/install.sh" "${ARGUMENTS[@]}"
}

# ---- what the machine must have ----------------------------------------------------------------------------------

find_python() {
  # Root builds what other users run, so it takes the system's interpreters only: one below /root is closed to them.
  local candidate candidates=(/usr/bin/python3 /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11)
  is_root || candidates=(python3 python3.13 python3.12 python3.11 "${candidates[@]}")
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      PYTHON=$(command -v "$candidate")
      return 0
    fi
  done
  return 1
}

missing_packages() { # prints Debian package names, one a line
  command -v bwrap >/dev/null || echo bubblewrap
  command -v pasta >/dev/null || "$HOST_NETWORK" || echo passt
  command -v nsenter >/dev/null || echo util-linux
  command -v ip >/dev/null || [[ -x /sbin/ip ]] || "$HOST_NETWORK" || echo iproute2
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || echo ca-certificates
  find_python || printf '%s\n' python3 python3-venv
  if "$FOR_TESTS"; then # what looks at pages, and at the terminal, and is another account of this machine
    command -v chromium >/dev/null || echo chromium
    command -v tmux >/dev/null || echo tmux
    command -v newuidmap >/dev/null || echo uidmap
  fi
}

ensure_packages() {
  local missing=() privileged=()
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} > 0)); then
    command -v apt-get >/dev/null || die "this machine lacks: ${missing[*]} (Debian's names)" \
      "this is not Debian or Ubuntu: install them with your own package manager, then run this again"
    if ! is_root; then
      if ! { command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; }; then
        die "this machine lacks: ${missing[*]}" "as root: apt-get install ${missing[*]}"
      fi
      privileged=(sudo)
    fi
    note "installing Debian packages: ${missing[*]}"
    privileged+=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -o DPkg::Lock::Timeout=300)
    "${privileged[@]}" update || note "the package lists could not be refreshed; going on with those there are"
    "${privileged[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null >/dev/null ||
      die "apt-get could not install: ${missing[*]}" \
        "Python must be 3.11 or newer (Debian 12, Ubuntu 24.04 and later have it)" \
        "without the package passt, --host-network runs jobs in this machine's own network"
  fi
  find_python || die "there is no Python 3.11 or newer with venv in /usr/bin" \
    "Debian 12, Ubuntu 24.04 and later have it: apt-get install python3 python3-venv"
  note "Python: $PYTHON ($("$PYTHON" -c 'import platform; print(platform.python_version())'))"
}

ensure_user() { # NAME HOME COMMENT
  if id -u -- "$1" >/dev/null 2>&1; then
    return
  fi
  note "creating the system user and group $1"
  useradd --system --user-group --no-create-home --home-dir "$2" --shell /usr/sbin/nologin --comment "$3" -- "$1"
}

ensure_subordinates() { # USER: accounts that it may be in user namespaces of its own; a system user is given none
  local first
  if grep -qs "^$1:" /etc/subuid && grep -qs "^$1:" /etc/subgid; then return; fi
  first=$({ cat /etc/subuid /etc/subgid 2>/dev/null || true; } |
    awk -F: '{ end = $2 + $3; if (end > first) first = end } END { print first < 100000 ? 100000 : first }')
  note "giving $1 the subordinate accounts from $first on"
  usermod --add-subuids "$first-$((first + 65535))" --add-subgids "$first-$((first + 65535))" -- "$1" ||
    warn "$1 can be no other account" "see subuid(5)"
}

become() { # USER HOME: commands prefixed with AS run as that user; without root, as whoever we are
  local forget=(-u PYTHONPATH -u PYTHONHOME -u VIRTUAL_ENV -u UV_PROJECT_ENVIRONMENT -u UV_CACHE_DIR)
  if is_root; then
    AS=(setpriv "--reuid=$1" "--regid=$1" --init-groups --inh-caps=-all
      env "${forget[@]}" -u TMPDIR -u XDG_RUNTIME_DIR -u XDG_STATE_HOME -u XDG_CACHE_HOME -u XDG_CONFIG_HOME -u XDG_DATA_HOME
      "HOME=$2" "USER=$1" "LOGNAME=$1" PATH=/usr/local/bin:/usr/bin:/bin)
  else
    AS=(env "${forget[@]}")
  fi
}

own_directory() { # DIR USER: create it for USER alone
  mkdir -p -- "$1"
  if is_root; then chown -- "$2:$2" "$1"; fi
  chmod 0700 -- "$1"
}

# ---- may an ordinary user make sandboxes here? -------------------------------------------------------------------

sandbox_works() {
  "${AS[@]}" bwrap --unshare-user --unshare-pid --unshare-ipc --unshare-uts --ro-bind / / --proc /proc --dev /dev \
    -- true >/dev/null 2>&1
}

network_works() { "${AS[@]}" pasta --config-net --no-map-gw -- true >/dev/null 2>&1; }

sysctl_is() { [[ -r /proc/sys/$1 && $(<"/proc/sys/$1") == "$2" ]]; }

ensure_tun() { # pasta opens /dev/net/tun as the job's user
  if "$HOST_NETWORK"; then return; fi
  if is_root && [[ ! -e /dev/net/tun ]]; then
    note "creating /dev/net/tun, which pasta needs"
    mkdir -p /dev/net
    mknod /dev/net/tun c 10 200 || true
  fi
  if is_root && ! "${AS[@]}" test -r /dev/net/tun -a -w /dev/net/tun; then
    note "opening /dev/net/tun to ordinary users, as udev does by default (chmod 666): pasta needs it"
    chmod 666 /dev/net/tun || true
  fi
}

allow_bwrap_in_apparmor() {
  say "Letting bubblewrap make user namespaces ($APPARMOR_PROFILE)"
  install -m 0644 -- "$CLONE/systemd/apparmor-bwrap" "$APPARMOR_PROFILE"
  apparmor_parser --replace -- "$APPARMOR_PROFILE"
}

explain_sandbox() { # prints why bubblewrap may have failed, one reason a line
  if sysctl_is kernel/unprivileged_userns_clone 0; then
    echo "ordinary users may not make user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (and in /etc/sysctl.d)"
  elif sysctl_is user/max_user_namespaces 0; then
    echo "user namespaces are switched off: sysctl -w user.max_user_namespaces=65536 (and in /etc/sysctl.d)"
  elif sysctl_is kernel/apparmor_restrict_unprivileged_userns 1; then
    echo "Ubuntu's AppArmor lets only programs with a profile make user namespaces, and bubblewrap has none here"
    echo "./install.sh --allow-userns adds one; every user of this machine may then make namespaces through bwrap"
  else
    echo "in a container: allow user namespaces and /proc mounts (docker: --privileged, or --security-opt seccomp=unconfined --security-opt systempaths=unconfined)"
  fi
}

check_sandbox() { # [warn]: die, or only warn, when jobs cannot be isolated
  local complain=die reasons=()
  [[ ${1:-} != warn ]] || complain=warn
  ensure_tun
  if ! sandbox_works && is_root && sysctl_is kernel/apparmor_restrict_unprivileged_userns 1; then
    if "$ALLOW_USERNS" || ask "Ubuntu's AppArmor keeps bubblewrap from making user namespaces. Add a profile for it?"; then
      allow_bwrap_in_apparmor
    fi
  fi
  if sandbox_works; then
    note "sandbox: bubblewrap works for ordinary users"
  else
    mapfile -t reasons < <(explain_sandbox)
    "$complain" "bubblewrap cannot make a sandbox as an ordinary user" "${reasons[@]}"
  fi
  if "$HOST_NETWORK"; then
    note "network: jobs share this machine's network (--host-network)"
  elif network_works; then
    note "network: pasta works for ordinary users"
  else
    "$complain" "pasta cannot make a network namespace as an ordinary user" \
      "it needs /dev/net/tun (in docker: --device /dev/net/tun) and user namespaces" \
      "--host-network runs jobs in this machine's own network instead"
  fi
}

warn() { # MESSAGE [HINT...]
  note "WARNING: $1; what needs it is skipped or fails"
  shift
  note "$@"
}

ask() { # QUESTION: only where a person can answer; otherwise no
  local answer
  [[ -t 0 ]] || return 1
  read -r -p "    $1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

# ---- building --------------------------------------------------------------------------------------------------

build_venv() { # DIR UV-ARGUMENT...: a virtualenv with what the arguments name, in the tested versions
  local venv=$1 index
  shift
  if ! "${BUILD_AS[@]}" "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    "${BUILD_AS[@]}" rm -rf -- "$venv"
    "${BUILD_AS[@]}" "$PYTHON" -m venv "$venv"
  fi
  "${BUILD_AS[@]}" "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint "$SOURCE/constraints.txt" uv
  if [[ -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then
    # uv does not read pip.conf. By environment, never by argument: an index URL may hold a password.
    index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    [[ -z $index ]] || export UV_DEFAULT_INDEX=$index
  fi
  "${BUILD_AS[@]}" "UV_CACHE_DIR=$UV_CACHE" "$venv/bin/uv" pip install \
    --quiet --python "$venv/bin/python" --link-mode copy --compile-bytecode --constraint "$SOURCE/constraints.txt" "$@"
}

copy_tree() { # FROM TO: without what is made by running things in it
  tar -C "$1" --exclude=.git --exclude=.venv --exclude=__pycache__ --exclude='.*_cache' --exclude=.hypothesis \
    --exclude=_local --exclude=.dlt/.var --exclude=.dlt/data --exclude=.dlt/state --exclude=test-artefacts -cf - . |
    "${AS[@]}" tar -C "$2" --no-same-owner -xf -
}

lock() { # one of these at a time; background processes close descriptor 9
  mkdir -p -- "$CACHE"
  exec 9>"$CACHE/$1.lock"
  flock -n 9 || die "another ./install.sh is at work here" "it holds $CACHE/$1.lock"
}

# ---- ./install.sh ----------------------------------------------------------------------------------------------

answers() { # SOCKET: does the daemon answer there?
  "${AS[@]}" "$PYTHON" -c '
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(5)
    client.connect(sys.argv[1])
    client.sendall(b"GET /api/api/v1/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    sys.exit(b" 200 " not in client.recv(64))' "$1" 2>/dev/null
}

install_service() {
  need_root
  [[ -d /run/systemd/system ]] || die "systemd is not running here, so there is nothing to install a service into" \
    "./install.sh --try DIR needs no systemd; docs/install.md says how to run the daemon yourself"
  lock install

  say "Checking what this machine has"
  ensure_packages
  ensure_user "$SERVICE_USER" "$STATE" "dlt Runtime appliance"
  become "$SERVICE_USER" "$STATE"
  check_sandbox

  say "Building the new version"
  local release
  release=$PREFIX/versions/$(date -u +%Y%m%dT%H%M%SZ)-$(sed -n 's/^version = "\(.*\)"/\1/p' "$CLONE/pyproject.toml")
  # A directory of its own: a daemon that is running keeps its files, whatever happens here.
  # shellcheck disable=SC2064 # now, while `release` is in scope
  trap "rm -rf -- '$release'" EXIT
  mkdir -p -- "$release" "$CACHE"
  SOURCE=$CLONE UV_CACHE=$CACHE/uv BUILD_AS=(env)
  build_venv "$release" --refresh-package dlt-runtime-appliance "$CLONE"
  "$release/bin/dlt-runtime" --help >/dev/null
  trap - EXIT
  note "$release"

  say "Installing the service"
  ln -sfn -- "$release" "$PREFIX/.current"
  mv -Tf -- "$PREFIX/.current" "$PREFIX/current" # atomic: `current` is never missing
  ln -sfn -- "$PREFIX/current/bin/dlt-runtime" "$COMMAND"
  note "$COMMAND"
  if [[ ! -e $SETTINGS/config.toml ]]; then
    install -d -m 0755 -- "$SETTINGS"
    install -m 0640 -g "$SERVICE_USER" -- "$CLONE/systemd/config.toml" "$SETTINGS/config.toml"
    if "$HOST_NETWORK"; then
      printf '\n[runs]\nnetwork = "host"\n' >>"$SETTINGS/config.toml"
    fi
    note "$SETTINGS/config.toml (new)"
  else
    note "$SETTINGS/config.toml (kept)"
    ! "$HOST_NETWORK" || note "set network = \"host\" under [runs] there: an existing file is not changed"
  fi
  install -m 0644 -- "$CLONE/systemd/dlt-runtime.service" "$UNIT"
  note "$UNIT"
  local links_are_new=true
  [[ ! -e $LINKS_UNIT ]] || links_are_new=false
  install -m 0644 -- "$CLONE/systemd/dlt-runtime-links.socket" "$LINKS_UNIT"
  note "$LINKS_UNIT"
  systemctl daemon-reload
  systemctl --quiet enable "$SERVICE"
  if "$links_are_new" && ! { : <>/dev/tcp/127.0.0.1/80; } 2>/dev/null; then # taken, or turned off by somebody: it stays
    systemctl --quiet enable "${LINKS_UNIT##*/}"
  elif "$links_are_new"; then
    note "port 80 is taken, so links that the public client prints, without a port, lead to what listens there"
  fi

  say "Starting the daemon; runs in progress go on"
  if ! systemctl restart "$SERVICE" || ! answers /run/dlt-runtime/api.sock; then
    journalctl --unit="$SERVICE" --lines=30 --no-pager >&2 || true
    die "the daemon did not start" "earlier versions are in $PREFIX/versions; journalctl -u $SERVICE has the rest"
  fi
  note "ready: /run/dlt-runtime/api.sock"
  prune_versions
  next_steps
}

prune_versions() { # keep three: a run started by an older daemon may still read that version's launchers
  local i versions=("$PREFIX"/versions/*/)
  for ((i = 0; i < ${#versions[@]} - 3; i++)); do
    [[ ${versions[i]} -ef $PREFIX/current ]] || rm -rf -- "${versions[i]}"
  done
}

next_steps() {
  cat <<TEXT

Installed. What to do next:

    sudo usermod -aG $SERVICE_USER ${SUDO_USER:-YOU}     # then log in again: members of the group are administrators
    cd YOUR-WORKSPACE
    dlt-runtime deploy
    dlt-runtime launch JOB -f

    systemctl status $SERVICE        # the daemon
    journalctl -u $SERVICE -f        # its log
TEXT
}

# ---- ./install.sh --uninstall ----------------------------------------------------------------------------------

uninstall() { # [--purge]
  [[ ${1:-} == "" || ${1:-} == --purge ]] || { usage >&2; exit 2; }
  need_root
  lock install
  say "Removing the service"
  if [[ -e $UNIT ]]; then
    systemctl --quiet disable --now "$SERVICE" || true
    # Runs outlive the daemon, so they are ended here: everything left in the unit's own control group.
    systemctl kill --signal=SIGKILL "$SERVICE" 2>/dev/null || true
    systemctl --quiet disable --now "${LINKS_UNIT##*/}" || true
    rm -f -- "$UNIT" "$LINKS_UNIT"
    systemctl daemon-reload
    note "$UNIT" "$LINKS_UNIT"
  fi
  if [[ $(readlink -- "$COMMAND" 2>/dev/null) == "$PREFIX"/* ]]; then
    rm -f -- "$COMMAND"
    note "$COMMAND"
  fi
  rm -rf -- "$PREFIX"
  note "$PREFIX"
  if [[ -e $APPARMOR_PROFILE ]]; then
    apparmor_parser --remove -- "$APPARMOR_PROFILE" || true
    rm -f -- "$APPARMOR_PROFILE"
    note "$APPARMOR_PROFILE"
  fi
  if [[ ${1:-} != --purge ]]; then
    note "kept: $STATE (data), $SETTINGS (settings) and the user $SERVICE_USER; --purge removes them"
    return
  fi
  say "Removing data, settings and users"
  rm -rf -- "$STATE" "$SETTINGS" "$CACHE"
  note "$STATE" "$SETTINGS" "$CACHE"
  local user
  for user in "$SERVICE_USER" "$TEST_USER"; do
    if id -u -- "$user" >/dev/null 2>&1; then
      if userdel -- "$user"; then note "user $user"; else note "kept: user $user"; fi
      groupdel -- "$user" 2>/dev/null || true # userdel leaves a group that has members
    fi
  done
}

# ---- ./install.sh --try DIR [JOB] --------------------------------------------------------------------------------

# Runs outlive a daemon on purpose, and so does the holder of their network. This one is only for a try: whatever it
# leaves behind becomes a child of this keeper and ends with it. It ends itself when install.sh is gone.
keeper() {
  cat <<'PY'
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path

prctl = ctypes.CDLL(None).prctl
prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG

def descendants():
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}

daemon = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
status = daemon.wait()
deadline = time.monotonic() + 20
while (left := descendants()) and time.monotonic() < deadline:
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    time.sleep(0.05)
sys.exit(max(status, 0))
PY
}

try_workspace() { # DIR [JOB]
  local directory=${1:-} job=${2:-}
  [[ -n $directory && $# -le 2 ]] || { usage >&2; exit 2; }
  [[ -d $directory ]] || die "there is no directory \`$directory\`"
  directory=$(cd -- "$directory" && pwd -P)
  [[ -e $directory/.dlt/.workspace ]] || die "\`$directory\` is not a dlt workspace: it has no .dlt/.workspace" \
    "mkdir -p .dlt && touch .dlt/.workspace makes one"
  lock try

  say "Checking what this machine has"
  ensure_packages
  local user home=$CACHE/home
  user=$(id -un)
  if is_root; then
    user=$SERVICE_USER # pasta gives up its rights when root starts it, so the daemon must not be root
    ensure_user "$user" "$STATE" "dlt Runtime appliance"
    own_directory "$home" "$user"
  fi
  become "$user" "$home"
  check_sandbox

  say "Building the daemon and the command line (in $CACHE/venv)"
  SOURCE=$CLONE UV_CACHE=$CACHE/uv BUILD_AS=(env)
  build_venv "$CACHE/venv" --reinstall-package dlt-runtime-appliance "$CLONE"

  # The workspace is copied: an ordinary user can then read it wherever it lies, its code is not imported as root, and
  # the directory itself gains neither a .venv nor a workspace id.
  WORK=$(mktemp -d -- "$CACHE/try.XXXXXX")
  SOCKETS=$(mktemp -d /tmp/dlt-runtime.XXXXXX) # short: a socket's path has at most 107 characters
  KEEPER=""
  trap finish_try EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  own_directory "$WORK" "$user"
  own_directory "$SOCKETS" "$user"
  AS+=(env "PATH=$CACHE/venv/bin:${PATH_OF_USER:-/usr/local/bin:/usr/bin:/bin}" "DLT_RUNTIME_URL=unix://$SOCKETS/api.sock")
  local copy=$WORK/${directory##*/} # its name becomes the workspace's
  "${AS[@]}" mkdir -- "$copy"
  copy_tree "$directory" "$copy"

  say "Starting a daemon as $user"
  keeper >"$SOCKETS/keeper.py"
  local flags=(--state-dir "$WORK/state" --socket "$SOCKETS/api.sock" --listen 127.0.0.1:0)
  ! "$HOST_NETWORK" || AS+=(DLT_RUNTIME_RUNS__NETWORK=host)
  cd -- "$SOCKETS"
  "${AS[@]}" "$PYTHON" "$SOCKETS/keeper.py" "$CACHE/venv/bin/dlt-runtime" daemon "${flags[@]}" \
    >"$SOCKETS/daemon.log" 2>&1 </dev/null 9>&- &
  KEEPER=$!
  await_daemon

  AS+=(env --chdir "$copy")
  say "Deploying $directory"
  "${AS[@]}" dlt-runtime deploy
  [[ -n $job ]] || job=$(first_pipeline_job)
  [[ -n $job ]] || die "the workspace has no batch job to run"

  say "Running $job"
  local status=0
  "${AS[@]}" dlt-runtime launch "$job" -f || status=$?
  if ((status == 0)); then
    say "Done: \`$job\` completed"
    note "to keep a daemon running: ./install.sh"
  fi
  exit "$status"
}

await_daemon() {
  local deadline=$((SECONDS + 60))
  until answers "$SOCKETS/api.sock"; do
    if ! kill -0 "$KEEPER" 2>/dev/null || ((SECONDS > deadline)); then
      tail -n 30 -- "$SOCKETS/daemon.log" >&2
      die "the daemon did not start"
    fi
    sleep 0.2
  done
  note "ready"
}

first_pipeline_job() { # a job that delivers a pipeline, else the first batch job
  "${AS[@]}" dlt-runtime job list --json | "$PYTHON" -c '
import json, sys
listed = json.load(sys.stdin)
jobs = listed if isinstance(listed, list) else listed["items"]
batch = [job for job in jobs if "interactive" not in json.dumps(job.get("job_type") or job.get("entry_point") or "")]
pipelines = [job for job in batch if "pipeline_name:" in json.dumps(job)]
print(next((job["job_ref"] for job in pipelines + batch), ""))'
}

finish_try() {
  local status=$?
  trap - EXIT
  trap '' HUP INT TERM
  cd /
  if [[ -n $KEEPER ]]; then
    say "Stopping the daemon"
    kill -TERM "$KEEPER" 2>/dev/null || true
    wait "$KEEPER" 2>/dev/null || true
  fi
  if ((status != 0)) && [[ -s $SOCKETS/daemon.log ]]; then
    mv -f -- "$SOCKETS/daemon.log" "$CACHE/try.log"
    note "the daemon's log: $CACHE/try.log"
  fi
  rm -rf -- "$WORK" "$SOCKETS"
  exit "$status"
}

# ---- ./install.sh --test [PYTEST-ARGUMENT...] ---------------------------------------------------------------------

run_tests() {
  lock test
  say "Checking what this machine has"
  FOR_TESTS=true
  ensure_packages
  local user home=$CACHE/test failed=()
  user=$(id -un)
  if is_root; then
    user=$TEST_USER # what matters is how things work for an ordinary user
    ensure_user "$user" "$home" "dlt Runtime appliance, tests"
    ensure_subordinates "$user"
  fi
  become "$user" "$home"
  own_directory "$home" "$user"
  check_sandbox warn

  # On a disk, as /tmp often is not: what is written to memory cannot be counted. Short, for the paths of sockets. What
  # tests leave may lack permissions.
  local files=$home/t
  "${AS[@]}" mkdir -p -- "$files"
  "${AS[@]}" chmod -R u+rwX -- "$files"
  "${AS[@]}" rm -rf -- "$files"

  say "Copying the clone to $home/clone, where $user can read it"
  rm -rf -- "$home/clone"
  "${AS[@]}" mkdir -- "$home/clone"
  (cd -- "$CLONE" && copy_tree "$CLONE" "$home/clone")

  say "Building the tests' virtualenv ($home/venv)"
  cd -- "$home"
  AS+=(env --chdir "$home/clone" "PATH=$home/venv/bin:${PATH_OF_USER:-/usr/local/bin:/usr/bin:/bin}"
    "MYPY_CACHE_DIR=$home/mypy-cache" "TESTS_CACHE=$home/clients"
    "HYPOTHESIS_PROFILE=${HYPOTHESIS_PROFILE:-suite}" "TESTS_FUZZ_CASES=${TESTS_FUZZ_CASES:-10000}")
  SOURCE=$home/clone UV_CACHE=$home/uv BUILD_AS=("${AS[@]}")
  build_venv "$home/venv" --reinstall-package dlt-runtime-appliance --editable "$home/clone" \
    --group "$home/clone/pyproject.toml:dev" --group "$home/clone/pyproject.toml:oracle"

  check() { # COMMAND...
    say "$*"
    "${AS[@]}" "$@" </dev/null 9>&- || failed+=("$1 ${2:-}")
  }
  check ruff format --check .
  check ruff check .
  check mypy
  check lint-imports
  check pytest -n 2 --dist loadgroup "--basetemp=$files" "$@"
  if ((${#failed[@]} > 0)); then
    die "failed: $(IFS=,; echo "${failed[*]}")"
  fi
  say "All checks passed"
}

# ---- which of them? ------------------------------------------------------------------------------------------------

ARGUMENTS=("$@")
is_root || PATH_OF_USER=$PATH
main() {
  local mode=install rest=()
  while (($# > 0)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --host-network) HOST_NETWORK=true ;;
      --allow-userns) ALLOW_USERNS=true ;;
      --try | --uninstall) mode=${1#--} ;;
      --test)
        shift
        run_tests "$@"
        exit
        ;;
      *)
        if [[ $mode == install ]]; then
          usage >&2
          exit 2
        fi
        rest+=("$1")
        ;;
    esac
    shift
  done
  case $mode in
    install) install_service ;;
    try) try_workspace "${rest[@]}" ;;
    uninstall) uninstall "${rest[@]}" ;;
  esac
}

main "$@"
