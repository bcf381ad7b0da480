"""The commands: `flask guard`."""
