"""Put the tags on every log record that is emitted inside a request."""

from __future__ import annotations

import logging

from ..tags import TAGS
from ..tags import tag_key
from .current import current_environ


class TagFilter(logging.Filter):
    """Add the tags of the request that is being served to each record, as attributes.

    Add it to a handler, so that it sees the records of all loggers. Outside of a request every
    tag is ``"-"``, so that one format fits all records.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the tags to a record. All records pass."""
        environ = current_environ.get() or {}
        for tag in TAGS:
            setattr(record, tag, environ.get(tag_key(tag), "-"))
        return True
