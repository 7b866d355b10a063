"""Discipline 2: a versioned, checked copy of what the sources knew at one time, with a data sheet."""
