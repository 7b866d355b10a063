"""The prediction microservice: answers from the live releases, and logs what it answered and what came of it.

It reads which release is live from the workflow store and imports neither Airflow nor MLflow, so that its
image stays small and it starts in seconds.
"""
