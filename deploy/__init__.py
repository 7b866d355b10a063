"""What a deployment needs beside the bundle: the host's tool, settings of Celery, first steps of databases."""
