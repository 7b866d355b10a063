#!/bin/bash
# As the official one: a command of the shell or of Python runs as it is, everything else is Airflow's.
set -e
umask 0002
export HOME=/home/airflow
case "$1" in bash|python|python3|sh|airflow) exec "$@" ;; *) exec airflow "$@" ;; esac
