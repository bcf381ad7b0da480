"""Ask a running server many times at once, and tell from its answers how it serves."""
