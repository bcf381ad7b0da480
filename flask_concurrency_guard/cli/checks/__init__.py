"""What `flask guard check` looks at. Each check is a small function in `table.CHECKS`."""
