"""The servers that ``make bench-service`` compares with; each runs in an environment of its own."""
