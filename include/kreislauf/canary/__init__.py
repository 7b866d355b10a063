"""The canary: a tiny use case that goes through the whole ring, and says which part of an installation does not work."""
