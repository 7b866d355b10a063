#!/usr/bin/env bash
# Brings everything that outlives containers to this image's version; runs once per `up`, and may run again.
set -euo pipefail

# old code must not touch newer data
python -m deploy.stack.mark "$KREISLAUF_HOME" --check

airflow db migrate
python -m include.kreislauf store upgrade
python -m include.kreislauf store grant-service kreislauf_service

python -m plugins.roles \
  --user admin --role Admin --password-variable AIRFLOW_ADMIN_PASSWORD \
  --user watcher --role Watcher --password-variable AIRFLOW_WATCHER_PASSWORD
python -m dags.common.pools

# the key with which Prometheus reads the prediction service; on Kubernetes it is a Secret, and the folder read-only
key=/opt/airflow/metrics/key
if [ -w "${key%/*}" ] && [ ! -s "$key" ]; then
  python -m include.kreislauf keys create prometheus --scopes metrics --days 0 --by compose > "$key.new"
  mv "$key.new" "$key"
fi

python -m deploy.stack.mark "$KREISLAUF_HOME"
