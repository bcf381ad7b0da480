"""Signals that tell what the guard decided. Receivers are called in the thread of the request.

The sender is the Flask app (or the middleware, where there is no Flask app). Receivers should take
``**extra``, since later versions may send more. A receiver that raises is logged; neither the
request nor its lease suffers.
"""

from __future__ import annotations

import logging

from blinker import NamedSignal
from blinker import Namespace

from .complaints import complain

logger = logging.getLogger(__name__)

_signals = Namespace()

request_admitted = _signals.signal(
    "request-admitted",
    doc="A request was admitted. Sent with ``environ`` and ``lease``.",
)
request_queued = _signals.signal(
    "request-queued",
    doc="A request begins to wait in the line. Sent with ``environ`` and ``lease``.",
)
request_rejected = _signals.signal(
    "request-rejected",
    doc="A request was rejected. Sent with ``environ`` and ``rejection``; in shadow mode the "
    "request is admitted all the same, and ``rejection.enforced`` is false.",
)
request_released = _signals.signal(
    "request-released",
    doc="A request gave its lease back. Sent with ``environ`` and ``lease``.",
)
store_failed = _signals.signal(
    "store-failed",
    doc="The store of a cluster can't be reached from this process, which goes by "
    "`ON_STORE_ERROR` from here on. Sent with ``error``, in a thread of the guard's.",
)
store_recovered = _signals.signal(
    "store-recovered",
    doc="The store can be reached again. Sent in a thread of the guard's.",
)


def emit(signal: NamedSignal, sender: object, **details: object) -> None:
    """Send `signal`; log what its receivers raise, and go on with the next one."""
    for receiver in signal.receivers_for(sender):
        try:
            receiver(sender, **details)
        except Exception:
            complain(logger, "A receiver of the signal '%s' raised; going on.", signal.name)
