"""The limiter. Knows neither WSGI nor Flask; any Python program can use it."""
