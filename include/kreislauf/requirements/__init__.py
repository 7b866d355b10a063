"""Discipline 1: what the product owner asks for, as a contract that machines check and people sign."""
