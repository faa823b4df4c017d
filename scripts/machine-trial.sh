#!/bin/sh
# Tries a release on a bare Debian in an emulated machine: install.sh, a service, restarts, kills, hangs, reboots and a
# power cut with runs in flight, watched by a Prometheus.
#   sudo sh scripts/machine-trial.sh [RELEASE_FOLDER [WORK_FOLDER]]
# Needs Debian's debootstrap, qemu-system-x86, e2fsprogs and prometheus, and a release from `bun run release`. Takes
# minutes, and reuses an unpacked Debian in the work folder. Not part of the gate, which must pass without root.
set -eu

url=http://127.0.0.1:8765
notes=/var/lib/trial

if [ "${1:-}" != --in-machine ]; then
  release=$(realpath "${1:-dist/release}")
  deploy=$(realpath "$(dirname "$0")/../deploy")
  work=${2:-$(mktemp -d)}
  [ $# -ge 2 ] || trap 'rm -rf "$work"' EXIT
  if ! [ -e "$work/debian" ]; then
    packages=systemd-sysv,dbus,dbus-user-session,libpam-systemd,udev,procps,curl,initramfs-tools,linux-image-cloud-amd64
    debootstrap --variant=minbase --include="$packages" bookworm "$work/unpacking"
    mv "$work/unpacking" "$work/debian"
  fi
  debian=$work/debian
  version=$(basename "$release"/*.cdx.json .cdx.json) && version=${version#agent-runner-}
  rm -rf "$debian/srv/release" && mkdir -p "$debian/srv/release" "$debian/srv/prometheus"
  cp "$release/install.sh" "$debian/srv/release/"
  mkdir "$debian/srv/release/v$version"
  cp "$release/SHA256SUMS" "$release/agent-runner-$version-linux-x64.tar.gz" "$debian/srv/release/v$version/"
  cp "$0" "$debian/srv/trial.sh"
  cp "$deploy/prometheus/alerts.yml" "$debian/srv/prometheus/"
  sed 's/scrape_interval: .*/scrape_interval: 1s/' "$deploy/prometheus/prometheus.yml" \
    >"$debian/srv/prometheus/prometheus.yml"
  cp "$(command -v prometheus)" "$debian/usr/local/bin/prometheus"
  cat >"$debian/etc/systemd/system/prometheus.service" <<'UNIT'
[Service]
ExecStart=/usr/local/bin/prometheus --config.file=/srv/prometheus/prometheus.yml \
  --storage.tsdb.path=/var/lib/prometheus --web.listen-address=127.0.0.1:9090
[Install]
WantedBy=multi-user.target
UNIT
  cat >"$debian/etc/systemd/system/trial.service" <<'UNIT'
[Service]
ExecStart=/bin/sh /srv/trial.sh --in-machine
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
UNIT
  wants=$debian/etc/systemd/system/multi-user.target.wants
  for unit in prometheus trial; do ln -sf "../$unit.service" "$wants/$unit.service"; done
  ln -sf /dev/null "$debian/etc/systemd/system/serial-getty@ttyS0.service"
  rm -f "$work/disk" && mke2fs -q -t ext4 -d "$debian" "$work/disk" 4G
  timeout --signal=KILL 900 qemu-system-x86_64 -machine q35 -cpu max -smp 2 -m 2048 -nographic -nic none \
    -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" -kernel "$debian/vmlinuz" -initrd "$debian/initrd.img" \
    -append "root=/dev/vda rw console=ttyS0 quiet loglevel=1 systemd.show_status=0" </dev/null | tee "$work/console" |
    sed -un 's/\r//g; s/.*trial: //p' | tee "$work/results" || true
  grep -q '^all passed$' "$work/results"
  exit
fi

export HOME=/root PATH=/usr/local/bin:/usr/sbin:/usr/bin AGENT_RUNNER_RELEASES_URL=file:///srv/release
mkdir -p "$notes"

say() { echo "trial: $*"; }
check() {
  what=$1
  shift
  if "$@" >"$notes/output" 2>&1; then say "ok      $what"; else
    say "FAILED  $what"
    sed 's/^/trial:         /' "$notes/output"
    touch "$notes/failed"
  fi
}
soon() {
  for _ in $(seq 300); do
    if "$@"; then return 0; fi
    sleep 0.2
  done
  return 1
}
shows() { systemctl show agent-runner -p "$1" --value; }
is() { [ "$(shows "$1")" = "$2" ]; }
takes_runs() { soon is StatusText 'Taking runs'; }
token() { as_agents agent-runner token --state-dir /var/lib/agent-runner; }
field() { curl -s -H "Authorization: Bearer $(token)" "$url/runs/$1" | sed -n "s/.*\"$2\":\"\([^\"]*\)\".*/\1/p"; }
run_is() { [ "$(field "$1" status)" = "$2" ]; }
submit() {
  run=$(AGENT_COORDINATOR_TOKEN=$(token) agent-runner submit "$@")
  soon run_is "$run" running || say "FAILED  $run is not in flight"
  echo "$run"
}
executors() { pgrep -u agents -f 'exec-builtin test-executor' | sort | tr '\n' ' '; }
seen() { curl -sG --data-urlencode "query=$1" http://127.0.0.1:9090/api/v1/query | grep -q '"value"'; }
as_agents() {
  setpriv --reuid=agents --regid=agents --init-groups \
    env HOME=/home/agents XDG_RUNTIME_DIR="/run/user/$(id -u agents)" "$@"
}
users_runner() { [ "$(as_agents systemctl --user show mine -p StatusText --value)" = 'Taking runs' ]; }

bare_machine() {
  useradd --create-home agents
  install -d -o agents /srv/project
  check "install.sh" sh /srv/release/install.sh --dir /usr/local/bin
  check "service install --system" agent-runner service install --system --run-as agents --up \
    -x test-executor -p /srv/project --drain-timeout 20s --metrics 127.0.0.1:9464
  check "the service is active and takes runs" takes_runs
  check "systemd-analyze accepts the unit" systemd-analyze verify agent-runner.service
  check "the environment file is private" test "$(stat -c '%a %U' /etc/agent-runner/agent-runner.env)" = '600 root'

  run=$(submit '!sleep 10s')
  before=$(shows MainPID) agents=$(executors)
  check "systemctl restart with a run in flight" systemctl restart agent-runner
  check "another runner" test "$(shows MainPID)" != "$before"
  check "the same executor" test "$(executors)" = "$agents" -a -n "$agents"
  check "the run completes" soon run_is "$run" completed
  check "Prometheus sees the runner" soon seen 'up{job="agent-runner"} == 1'

  run=$(submit '!sleep 15s')
  kill -KILL "$(shows MainPID)"
  check "a killed runner is restarted" soon is NRestarts 1
  check "its run completes" soon run_is "$run" completed

  mkdir -p /run/systemd/system/agent-runner.service.d
  printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/agent-runner.service.d/watchdog.conf
  systemctl daemon-reload
  systemctl restart agent-runner
  takes_runs
  run=$(submit '!sleep 30s')
  hung=$(shows MainPID)
  kill -STOP "$hung"
  check "the watchdog ends a hung runner" soon test ! -e "/proc/$hung"
  check "its run completes" soon run_is "$run" completed

  loginctl enable-linger agents
  soon test -S "/run/user/$(id -u agents)/systemd/private"
  install -d -o agents /home/agents/mine
  check "service install of a user" as_agents agent-runner service install --name mine -x test-executor \
    -c "$url" -p /home/agents/mine
  check "the user's service takes runs" soon users_runner

  submit '!sleep 8s' >"$notes/short"
  submit '!sleep 10m' >"$notes/long"
  say "        reboot, with two runs in flight"
  systemctl reboot
}

after_reboot() {
  check "the service has started by itself" takes_runs
  check "the user's service, too" soon users_runner
  check "the reboot waited for the short run" run_is "$(cat "$notes/short")" completed
  check "the reboot stopped the long run" run_is "$(cat "$notes/long")" stopped
  check "service uninstall of a user" as_agents agent-runner service uninstall --name mine
  check "Prometheus sees the runner" soon seen 'up{job="agent-runner"} == 1'
  submit '!sleep 10m' >"$notes/once"
  submit --max-attempts 2 --retry-delay 1s '!sleep 5s' >"$notes/twice"
  say "        power cut, with two runs in flight"
  sync
  echo b >/proc/sysrq-trigger
  sleep 60
}

after_power_cut() {
  check "the service has started by itself" takes_runs
  check "the run in flight is reported failed" soon run_is "$(cat "$notes/once")" failed
  say "        because: $(field "$(cat "$notes/once")" error)"
  check "the other run, too" soon run_is "$(cat "$notes/twice")" failed
  check "the retry completes" soon run_is "$(field "$(cat "$notes/twice")" retried_by)" completed
  check "Prometheus sees both outcomes" soon seen 'sum(agent_runner_runs_total{outcome="vanished"}) == 2'
  check "service status" agent-runner service status --system
  check "service logs" sh -c 'agent-runner service logs --system | grep -q "Runner started"'
  check "service uninstall" agent-runner service uninstall --system
  check "systemd has no such unit" is LoadState not-found
  [ -e "$notes/failed" ] || say "all passed"
  systemctl poweroff
}

boot=$(($(cat "$notes/boot" 2>/dev/null || echo 0) + 1))
echo "$boot" >"$notes/boot"
say "boot $boot"
case $boot in
  1) bare_machine ;;
  2) after_reboot ;;
  3) after_power_cut ;;
  *) systemctl poweroff ;;
esac
