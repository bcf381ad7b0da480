"""Read access logs: what happened, which limit would have been right, and what others would do."""
