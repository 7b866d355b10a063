"""What the five DAGs share."""
