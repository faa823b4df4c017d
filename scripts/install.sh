#!/bin/sh
# Installs agent-runner: downloads the release for this platform, checks its sum, and copies the program into DIR.
#   sh install.sh [--version VERSION] [--dir DIR]      (default DIR: ~/.local/bin)
# Needs curl or wget, tar, and sha256sum or shasum; no root. AGENT_RUNNER_RELEASES_URL overrides the download URL.
set -eu

# scripts/release.ts fills in both.
version='@VERSION@'
releases='@RELEASES_URL@'
dir="${HOME:-}/.local/bin"

fail() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

usage() {
  sed -n '2,4s/^# \{0,1\}//p' "$0"
}

while [ $# -gt 0 ]; do
  case $1 in
    --version | --dir)
      [ $# -ge 2 ] || fail "$1 needs a value"
      if [ "$1" = --dir ]; then dir=$2; else version=${2#v}; fi
      shift 2
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) fail "unknown option: $1 (see --help)" ;;
  esac
done
releases=${AGENT_RUNNER_RELEASES_URL:-$releases}
case $releases in @*) fail 'this copy is not from a release: set AGENT_RUNNER_RELEASES_URL' ;; esac
case $version in @*) fail 'this copy is not from a release: use --version' ;; esac
[ "$dir" != /.local/bin ] || fail 'HOME is not set: use --dir'

is_musl() {
  ! [ -e /lib64/ld-linux-x86-64.so.2 ] && ! [ -e /lib/ld-linux-aarch64.so.1 ] && ls /lib/ld-musl-* >/dev/null 2>&1
}

platform() {
  system=$(uname -s)
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) fail "there is no release for the processor $machine" ;;
  esac
  case $system in
    Linux)
      suffix=''
      if is_musl; then suffix=-musl; fi
      printf 'linux-%s%s' "$arch" "$suffix"
      ;;
    Darwin)
      # A shell under Rosetta reports x86_64 on an arm64 machine.
      if [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || echo 0)" = 1 ]; then arch=arm64; fi
      printf 'darwin-%s' "$arch"
      ;;
    *) fail "this script does not support $system: unpack the archive of the release by hand" ;;
  esac
}

download() {
  if command -v curl >/dev/null 2>&1; then
    curl --fail --silent --show-error --location --output "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then
    wget -q -O "$2" "$1"
  else
    fail 'curl or wget is needed for the download'
  fi || fail "cannot download $1"
}

if command -v sha256sum >/dev/null 2>&1; then
  sum_of() { sha256sum "$1" | cut -d ' ' -f 1; }
elif command -v shasum >/dev/null 2>&1; then
  sum_of() { shasum -a 256 "$1" | cut -d ' ' -f 1; }
else
  fail 'sha256sum or shasum is needed to check the download'
fi

platform=$(platform)
name=agent-runner-$version-$platform
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

download "$releases/v$version/SHA256SUMS" "$scratch/SHA256SUMS"
expected=$(awk -v file="$name.tar.gz" '$2 == file { print $1 }' "$scratch/SHA256SUMS")
[ -n "$expected" ] || fail "release $version has no archive for $platform"
download "$releases/v$version/$name.tar.gz" "$scratch/archive.tar.gz"
actual=$(sum_of "$scratch/archive.tar.gz")
[ "$actual" = "$expected" ] || fail "the download is damaged or has been changed: its SHA-256 is $actual, not $expected"

tar -xzf "$scratch/archive.tar.gz" -C "$scratch"
if ! "$scratch/$name/agent-runner" --version >/dev/null; then
  case $platform in *-musl*) fail "the program for $platform needs libstdc++ (Alpine: apk add libstdc++)" ;; esac
  fail "the program for $platform does not run on this machine"
fi
mkdir -p "$dir"
# Copies beside the old program and then renames: a running program cannot be overwritten.
cp "$scratch/$name/agent-runner" "$dir/.agent-runner.new"
chmod 755 "$dir/.agent-runner.new"
mv -f "$dir/.agent-runner.new" "$dir/agent-runner"
printf 'Installed %s\n' "$("$dir/agent-runner" --version) in $dir"
case :$PATH: in *":$dir:"*) ;; *) printf '%s\n' "$dir is not on your PATH: add it, or call $dir/agent-runner" ;; esac
