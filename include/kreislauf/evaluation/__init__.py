"""Discipline 5, model evaluation: the report on all candidates, and the gate that decides on it."""
