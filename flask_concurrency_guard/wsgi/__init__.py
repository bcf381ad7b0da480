"""The WSGI middleware. Knows nothing of Flask; any WSGI framework can use it."""
