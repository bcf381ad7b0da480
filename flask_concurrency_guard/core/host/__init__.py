"""One limit for all processes of a host, in a file that they all map."""
