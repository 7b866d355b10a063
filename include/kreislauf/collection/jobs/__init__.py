"""Job advertisements: where they come from, and which technologies they name."""
