"""Tests of one stack, which ends with the last of them: pytest ends a package's fixtures with the package."""
