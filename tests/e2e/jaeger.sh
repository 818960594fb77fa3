#!/usr/bin/env bash
# Checks traces in a real Jaeger: starts one, starts the gateway, sends requests, and reads the traces from Jaeger's query API.
#   tests/e2e/jaeger.sh [GATEWAY]     GATEWAY: the program; target/ci, target/release or target/debug/gatewright without it
#   tests/e2e/jaeger.sh --build       only builds Jaeger, and prints its path
#   JAEGER=PATH     a jaeger v2 binary; if not set, one is built once with Go (some minutes) in
#                   ${GATEWRIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gatewright}/jaeger-VERSION
#   SHOW=1          prints each trace as a tree
# All ports are free ports of 127.0.0.1; all output goes to a temporary folder.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
version=1.76.0

fail() { echo "jaeger.sh: $1" >&2; exit 2; }

# Prints the path of a jaeger binary, after building it if there is none.
jaeger() {
  if [ -n "${JAEGER:-}" ]; then
    [ -x "$JAEGER" ] || fail "JAEGER=$JAEGER is not an executable"
    echo "$JAEGER"
    return
  fi
  local folder="${GATEWRIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gatewright}/jaeger-$version"
  if [ ! -x "$folder/jaeger" ]; then
    PATH="$PATH:/usr/local/go/bin"
    command -v go >/dev/null || fail "go is missing: install Go 1.24 or newer (https://go.dev/dl), or set JAEGER=PATH"
    echo "building Jaeger $version into $folder, once; this takes some minutes" >&2
    mkdir -p "$folder"
    (
      work="$(mktemp -d -p "$folder")"
      trap 'rm -rf "$work"' EXIT
      cd "$work"
      {
        go mod init gatewright.test/jaeger
        go get -tool "github.com/jaegertracing/jaeger/cmd/jaeger@v$version"
        CGO_ENABLED=0 go build -ldflags "-s -w" -o jaeger github.com/jaegertracing/jaeger/cmd/jaeger
      } >build.log 2>&1 || { tail -20 build.log >&2; exit 1; }
      # Atomically, so that a parallel run never sees an incomplete binary.
      mv jaeger "$folder/jaeger"
    ) || fail "Jaeger could not be built; set JAEGER=PATH to a binary of Jaeger v2"
  fi
  echo "$folder/jaeger"
}

[ "${1:-}" != --build ] || { jaeger; exit; }
gateway="${1:-}"
for candidate in ci release debug; do
  [ -n "$gateway" ] || [ ! -x "$root/target/$candidate/gatewright" ] || gateway="$root/target/$candidate/gatewright"
done
[ -n "$gateway" ] || fail "no gateway: run cargo build, or name the program"
[ -x "$gateway" ] || fail "$gateway is not an executable"
command -v python3 >/dev/null || fail "python3 is missing"
jaeger="$(jaeger)"

# Over each protocol, uncompressed and compressed.
result=0
OTEL_EXPORTER_OTLP_COMPRESSION=none python3 "$here/jaeger.py" "$jaeger" "$(realpath "$gateway")" grpc || result=1
OTEL_EXPORTER_OTLP_COMPRESSION=gzip python3 "$here/jaeger.py" "$jaeger" "$(realpath "$gateway")" http/protobuf || result=1
exit $result
