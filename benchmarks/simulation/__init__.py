"""A server, its clients and a limit, simulated event by event."""
