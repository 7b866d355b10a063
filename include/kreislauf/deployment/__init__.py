"""Discipline 6: from a candidate to the live release, or back to the one before."""
