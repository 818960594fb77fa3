#!/usr/bin/env bash
# Replaces the files of Swagger UI: assets/swagger-ui/update.sh 5.35.0
# Then change `VERSION` in src/openapi/viewer.rs and README.md, and look at the page in a browser.
set -euo pipefail
version="${1:?usage: update.sh VERSION}"
cd "$(dirname "$0")"
here="$PWD"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar xzf ./*.tgz
for file in swagger-ui-bundle.js swagger-ui.css; do
  sed '/sourceMappingURL=/d' "package/$file" | gzip -9n >"$here/$file.gz"
done
cp package/LICENSE package/NOTICE package/swagger-ui-bundle.js.LICENSE.txt "$here/"
