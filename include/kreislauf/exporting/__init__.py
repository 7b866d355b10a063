"""The workflow store as Prometheus metrics."""
