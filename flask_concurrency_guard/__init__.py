"""Keep a Flask app at its best when more requests arrive than it can serve."""

from __future__ import annotations

from .core.cluster.member import ClusterSnapshot
from .core.decisions import Mode
from .core.decisions import Partition
from .core.decisions import Reason
from .core.decisions import Rejection
from .core.decisions import Snapshot
from .core.host.process import HostSnapshot
from .core.lease import Lease
from .core.tuner import Change
from .errors import ConcurrencyGuardError
from .errors import ConfigurationError
from .errors import LimitReached
from .errors import RequestRejected
from .errors import ServerBusy
from .errors import SetupError
from .errors import StoreUnavailable
from .errors import TooManyInFlight
from .extension import ConcurrencyGuard
from .observe.logs import TagFilter
from .signals import request_admitted
from .signals import request_queued
from .signals import request_rejected
from .signals import request_released
from .signals import store_failed
from .signals import store_recovered

__all__ = [
    "Change",
    "ClusterSnapshot",
    "ConcurrencyGuard",
    "ConcurrencyGuardError",
    "ConfigurationError",
    "HostSnapshot",
    "Lease",
    "LimitReached",
    "Mode",
    "Partition",
    "Reason",
    "Rejection",
    "RequestRejected",
    "ServerBusy",
    "SetupError",
    "Snapshot",
    "StoreUnavailable",
    "TagFilter",
    "TooManyInFlight",
    "request_admitted",
    "request_queued",
    "request_rejected",
    "request_released",
    "store_failed",
    "store_recovered",
]
