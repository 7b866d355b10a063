"""Airflow for tests that only import it: no database is made, the bundle's plugins are registered."""

import os
import tempfile

from include.kreislauf.settings import ROOT

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="kreislauf-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(ROOT / "plugins"))
