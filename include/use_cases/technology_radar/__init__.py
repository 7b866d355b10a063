"""Which software technologies will be used more next quarter? See ``contract.yaml`` and ``features.py``."""
