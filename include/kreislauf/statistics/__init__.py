"""Statistics that every verdict shares: the business metric and intervals."""
