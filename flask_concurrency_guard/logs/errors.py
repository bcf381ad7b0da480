"""What can be wrong with a log."""

from __future__ import annotations


class LogError(Exception):
    """A log can't be read. The message is one sentence for whoever has named it."""
