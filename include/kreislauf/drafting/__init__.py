"""Drafting: from a table to a contract for it, with a reason for every value that is proposed."""
