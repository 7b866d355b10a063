"""Stack Exchange: its API and its data dumps."""
