"""The status page: what all workers of the app are doing, for a browser."""
