#!/usr/bin/env bash
# Clients in Python and TypeScript, generated from the OpenAPI document of a running gateway, that create, read, list, change and
# delete a user:
#   tests/openapi/clients.sh GATEWAY
set -euo pipefail
gateway="$(realpath "${1:?usage: clients.sh GATEWAY}")"
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
pid=
finish() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; rm -rf "$work"; }
trap finish EXIT

cp -r "$here/../../config" "$work/config"
cd "$work"
export JWT_SECRET="${JWT_SECRET:-k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu}" DATABASE_URL=sqlite::memory: HOST=127.0.0.1 PORT="${PORT:-18080}"
export GATEWRIGHT__ADMIN__ADDRESS=127.0.0.1:0 GATEWRIGHT_RUNTIME_FILE="$work/runtime.json"
"$gateway" run config/gateway.yaml >gateway.log 2>&1 &
pid=$!
export BASE="http://127.0.0.1:$PORT"
for _ in $(seq 100); do curl -fsS -o openapi.json "$BASE/openapi.json" 2>/dev/null && break; sleep 0.1; done
[ -s openapi.json ] || { cat gateway.log >&2; echo "the gateway did not start" >&2; exit 1; }
TOKEN="$("$gateway" token --sub 01a22510-357c-72a9-84c8-411555ce7244 --role admin config/gateway.yaml)"
export TOKEN

echo "Python: openapi-python-client"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1
PATH="$work/venv/bin:$PATH" venv/bin/openapi-python-client generate --path openapi.json --fail-on-warning
PYTHONPATH="$work/users-api-client" venv/bin/python "$here/client.py"

echo "TypeScript: openapi-typescript and openapi-fetch"
cp "$here"/ts/* .
npm ci --no-fund --no-audit --loglevel=error
npx openapi-typescript openapi.json -o api.ts >/dev/null
npx tsc
node out/client.js
