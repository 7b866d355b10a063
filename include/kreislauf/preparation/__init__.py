"""Discipline 3: features that knew nothing of the future, as a version with lineage to the raw data."""
