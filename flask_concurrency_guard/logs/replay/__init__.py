"""Let a log happen again, under other limits."""
