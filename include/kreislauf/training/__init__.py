"""Discipline 4, model training: families, candidates, rolling-origin evaluation and the final fit."""
