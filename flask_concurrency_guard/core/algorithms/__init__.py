"""How many requests to have in flight at once, learned from how long they take."""
