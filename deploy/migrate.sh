#!/usr/bin/env bash
# Brings everything that outlives containers to this image's version; runs once per `up`, and may run again.
set -euo pipefail

airflow db migrate
python -m include.kreislauf store upgrade

airflow users create -u admin -p "$AIRFLOW_ADMIN_PASSWORD" -f A -l A -r Admin -e admin@example.com
airflow users create -u watcher -p "$AIRFLOW_WATCHER_PASSWORD" -f A -l A -r Admin -e watcher@example.com

# the key with which Prometheus reads the prediction service
key=/opt/airflow/metrics/key
if [ ! -s "$key" ]; then
  (umask 022 && python -m include.kreislauf keys create prometheus --scopes metrics --days 0 --by compose > "$key.new" && mv "$key.new" "$key")
fi
