"""What can be seen of the guard from outside: in logs, and from inside a request."""
