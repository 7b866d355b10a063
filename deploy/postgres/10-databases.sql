-- Run once, by the PostgreSQL image, when the volume is empty: three databases, each with a role that owns it, and the
-- prediction service's own role, which `store grant-service` gives just what it needs in the workflow store.
-- \getenv keeps the passwords off every command line.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv kreislauf_password KREISLAUF_DB_PASSWORD
\getenv service_password SERVICE_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD

CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
REVOKE ALL ON DATABASE airflow FROM PUBLIC;

CREATE ROLE kreislauf LOGIN PASSWORD :'kreislauf_password';
CREATE DATABASE kreislauf OWNER kreislauf;
REVOKE ALL ON DATABASE kreislauf FROM PUBLIC;

CREATE ROLE kreislauf_service LOGIN PASSWORD :'service_password';
GRANT CONNECT ON DATABASE kreislauf TO kreislauf_service;

CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE DATABASE mlflow OWNER mlflow;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
