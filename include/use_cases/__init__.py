"""One folder for each use case: its contract and, where it needs them, its features and its data."""
