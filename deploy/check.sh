#!/usr/bin/env bash
# Reads every file that others run by, each with the tool that knows it. `make check-deploy` installs them first.
# What is missing where there is no apt-get is left out, but not in CI.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
PATH=$PWD/.tools/lint/bin:$PWD/.tools:$PATH

UNITS=(weir.service weir.socket weir-https.socket weir-rtmp.socket weir-rtmps.socket)
OLDEST_KUBERNETES=1.29.0 # ReadWriteOncePod is stable from here on

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# check NAME TOOL COMMAND…: quiet where all is well.
check() {
  local name=$1 tool=$2
  shift 2
  if ! command -v "$tool" >/dev/null && [ -z "${CI:-}" ]; then
    printf 'deploy: %s: left out, %s is missing\n' "$name" "$tool"
  elif "$@" >"$work/out" 2>&1; then
    printf 'deploy: %s: ok\n' "$name"
  else
    printf 'deploy: %s: FAILED\n' "$name" >&2
    cat "$work/out" >&2
    failed=1
  fi
}

# The binary need not be installed here, and what is only a warning to systemd is a mistake of ours.
units() {
  local unit
  for unit in "${UNITS[@]}"; do sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "deploy/$unit" >"$work/$unit"; done
  systemd-analyze verify --man=no "${UNITS[@]/#/$work/}" || return
  [ ! -s "$work/out" ]
}

dashboard() {
  python3 -B .ci/deploy.py queries >"$work/queries.yml" && promtool check rules "$work/queries.yml"
}

compose() {
  .tools/lint/bin/python - .tools/lint/compose.schema.json deploy/compose.yaml <<'END'
import json, sys, jsonschema, yaml
schema, file = map(open, sys.argv[1:])
jsonschema.validate(yaml.safe_load(file), json.load(schema))
END
}

check 'prometheus.yml and rules' promtool promtool check config deploy/prometheus/prometheus.yml
check 'alerts' promtool promtool test rules deploy/prometheus/weir.test.yml
check 'queries of the dashboard' promtool dashboard
check 'Dockerfile' hadolint hadolint Dockerfile
check 'systemd units' systemd-analyze units
# Before systemd 250 it asks a running systemd only.
systemd-analyze --help 2>&1 | grep -q -- --offline &&
  check 'hardening' systemd-analyze systemd-analyze security --offline=true --threshold=15 deploy/weir.service
for version in "$OLDEST_KUBERNETES" 1.37.0; do
  check "Kubernetes $version" kubernetes-validate kubernetes-validate --strict -k "$version" deploy/kubernetes/*.yaml
done
check 'compose file' .tools/lint/bin/python compose
exit "$failed"
