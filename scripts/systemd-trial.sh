#!/bin/sh
# The service under a real systemd: installed from the binary, restarted with a run in flight, stopped, killed, removed.
#   sudo sh scripts/systemd-trial.sh [BINARY]
# Linux with systemd and unshare; root. systemd boots in namespaces and on a root file system of its own, in memory: it sees /usr (read-only),
# the binary and nothing else of this machine. No part of the gate, which has to pass without root.
set -eu

case ${1:-} in
  --in-namespaces) step=root ;;
  --under-systemd) step=trial ;;
  *) step=outside ;;
esac

if [ "$step" = outside ]; then
  binary=$(realpath "${1:-dist/agent-runner}")
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  mkdir "$work/root" "$work/shared"
  cp "$binary" "$work/shared/agent-runner"
  cp "$0" "$work/shared/trial.sh"
  timeout --signal=KILL 180 unshare --mount --pid --fork --cgroup --kill-child sh "$0" --in-namespaces "$work" >"$work/shared/boot.log" 2>&1 || true
  cat "$work/shared/result" 2>/dev/null || { cat "$work/shared/boot.log" && exit 1; }
  grep -q '^all passed$' "$work/shared/result"
  exit
fi

if [ "$step" = root ]; then
  work=$2
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 none "$work/root"
  cd "$work/root"
  mkdir -p usr proc sys dev etc/systemd/system run tmp var/lib var/log var/tmp root home/agents srv/project opt shared old
  chmod 1777 tmp var/tmp
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
  mount --rbind /usr usr
  mount -o remount,ro,bind usr
  mount -t proc proc proc
  # A systemd that boots would set the machine's own parameters.
  mount --bind proc/sys proc/sys
  mount -o remount,ro,bind proc/sys
  mount --rbind /sys sys
  mount -t tmpfs -o mode=755 none dev
  for name in null zero random urandom full tty; do
    touch "dev/$name"
    mount --bind "/dev/$name" "dev/$name"
  done
  ln -s /proc/self/fd dev/fd
  mkdir dev/shm dev/pts
  mount --bind "$work/shared" shared
  cp shared/agent-runner opt/agent-runner
  printf 'root:x:0:0:root:/root:/bin/sh\nagents:x:1500:1500::/home/agents:/bin/sh\n' >etc/passwd
  printf 'root:x:0:\nagents:x:1500:\n' >etc/group
  chown 1500:1500 home/agents srv/project
  echo 0123456789abcdef0123456789abcdef >etc/machine-id
  # Nothing of the machine's own services: only the trial and what it installs.
  for path in /usr/lib/systemd/system/*.target.wants/*; do ln -sfn /dev/null "etc/systemd/system/${path##*/}"; done
  cat >etc/systemd/system/trial.service <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=150
ExecStart=/bin/sh /shared/trial.sh --under-systemd
ExecStopPost=/bin/systemctl --force --force poweroff
StandardOutput=append:/shared/result
StandardError=inherit
UNIT
  pivot_root . old
  cd /
  umount -l old
  export container=other
  exec /usr/lib/systemd/systemd --system --unit=trial.service --log-target=console --show-status=no
fi

runner=/opt/agent-runner
url=http://127.0.0.1:18765
failed=0

check() {
  what=$1
  shift
  if "$@"; then echo "ok      $what"; else
    echo "FAILED  $what"
    failed=1
  fi
}
shows() { systemctl show agent-runner -p "$1" --value; }
is() { [ "$(shows "$1")" = "$2" ]; }
listens() { "$runner" runs -c "$url" >/dev/null 2>&1; }
run_is() { "$runner" runs -c "$url" | grep -q "^$1 *$2 "; }
soon() {
  for _ in $(seq 150); do
    if "$@"; then return 0; fi
    sleep 0.2
  done
  return 1
}
executors() { pgrep -u agents -f 'exec-builtin test-executor' | sort | tr '\n' ' '; }

cd /root
export HOME=/root PATH=/usr/bin:/bin
"$runner" coordinator --port 18765 --state-dir /tmp/coordinator >/shared/coordinator.log 2>&1 &
coordinator=$!
check "the coordinator listens" soon listens
check "service install" "$runner" service install --system --run-as agents -c "$url" -x test-executor -p /srv/project --drain-timeout 20s
check "it is active and takes runs" soon is StatusText 'Taking runs'
check "the environment file is private" test "$(stat -c '%a %U' /etc/agent-runner/agent-runner.env)" = '600 root'

run=$("$runner" submit -c "$url" '!sleep 6s')
check "a run is in flight" soon run_is "$run" running
sleep 1
before=$(shows MainPID) agents=$(executors)
check "systemctl restart" systemctl restart agent-runner
check "another runner" test "$(shows MainPID)" != "$before"
check "the same executor" test "$(executors)" = "$agents" -a -n "$agents"
check "its run completes" soon run_is "$run" completed

run=$("$runner" submit -c "$url" '!sleep 3s')
check "a second run is in flight" soon run_is "$run" running
check "systemctl stop waits for it" systemctl stop agent-runner
check "it has completed, and the service has ended well" run_is "$run" completed
check "with success" is Result success

systemctl start agent-runner
run=$("$runner" submit -c "$url" '!sleep 6s')
check "a third run is in flight" soon run_is "$run" running
sleep 1
kill -9 "$(shows MainPID)"
check "a runner that is killed is started again" soon is NRestarts 1
check "and the run completes" soon run_is "$run" completed

check "service status" "$runner" service status --system
check "service uninstall" "$runner" service uninstall --system
check "nothing of it is left" is LoadState not-found
kill "$coordinator"
if [ "$failed" = 0 ]; then echo 'all passed'; fi
