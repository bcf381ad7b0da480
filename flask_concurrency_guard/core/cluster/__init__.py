"""One limit for the processes of many hosts, lent by Redis or Valkey."""
