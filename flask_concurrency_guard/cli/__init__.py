"""The commands of `flask guard`."""
