"""What can be seen of the guard: in logs and metrics, by other processes, and inside a request."""
