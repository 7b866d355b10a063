#!/usr/bin/env bash
# Everything that `make audit` looks at, offline: it tells each fault and goes on, and fails at the end if there was one.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
bin=.venv-audit/bin
failed=()

look() { # NAME COMMAND...: the command's exit status says whether there is a fault
  local name=$1 begun=$SECONDS
  shift
  if "$@"; then echo "$name: nothing found ($((SECONDS - begun)) s)"; else failed+=("$name"); fi
}

code() { "$bin/bandit" --quiet --recursive --configfile pyproject.toml --exit-zero --format json include dags plugins deploy |
  "$bin/python" deploy/supply_chain/bandit_findings.py; }
scripts() { git ls-files -z '*.sh' .ci/run ':!tests' | xargs -0 "$bin/shellcheck"; }
yaml() { git ls-files -z '*.yaml' '*.yml' | xargs -0 "$bin/yamllint" --strict; }
manifests() { find deploy/kubernetes -name '*.yaml' ! -name 'values*.yaml' ! -name kustomization.yaml -print0 |
  xargs -0 "$bin/python" deploy/supply_chain/manifests.py; }
licences() {
  local page
  page=$(mktemp)
  .venv/bin/python -m deploy.supply_chain licences --output "$page" && rm "$page"
}

look "hadolint (Dockerfile)" "$bin/hadolint" Dockerfile
look "bandit (code)" code
look "shellcheck (scripts)" scripts
look "yamllint (YAML)" yaml
look "Kubernetes' schemas" manifests
look "checkov (Dockerfile, Kubernetes, secrets)" "$bin/checkov" --config-file .checkov.yaml
look "licences" licences

if [ ${#failed[@]} -gt 0 ]; then
  printf 'audit: faults found by: %s\n' "$(IFS=,; echo "${failed[*]}")" >&2
  exit 1
fi
