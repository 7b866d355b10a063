-- Run once, by the PostgreSQL image, when the volume is empty: two databases, each with a role that owns it.
-- \getenv keeps the passwords off every command line.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv kreislauf_password KREISLAUF_DB_PASSWORD

CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
REVOKE ALL ON DATABASE airflow FROM PUBLIC;

CREATE ROLE kreislauf LOGIN PASSWORD :'kreislauf_password';
CREATE DATABASE kreislauf OWNER kreislauf;
REVOKE ALL ON DATABASE kreislauf FROM PUBLIC;
