"""What can be said of a limit where it is declared in code, for those who check types."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Literal
from typing import TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Collection
    from collections.abc import Hashable

    from _typeshed.wsgi import WSGIEnvironment

    from .core.decisions import Mode
    from .core.line import Order


class LimitSettings(TypedDict, total=False):
    """See the settings of the same names. What isn't said is as for the app's own limit."""

    match: str | Collection[str]
    endpoint: str | Collection[str]
    mode: Mode | Literal["enforce", "shadow", "off"]
    algorithm: Literal["guard", "gradient2", "gradient", "vegas", "aimd"]
    algorithm_options: dict[str, object]
    scope: Literal["process", "host", "cluster"]
    on_store_error: Literal["local", "open", "closed"]
    max_queue: int | None
    max_wait: float
    queue_order: Order | Literal["fifo", "lifo", "adaptive"]
    key: str | Callable[[WSGIEnvironment], Hashable | None] | None
    per_key: int | None
    partitions: dict[str, float | dict[str, object]]
    partition: str | Callable[[WSGIEnvironment], Hashable | None] | None
    reject_status: Literal[503, 429]
    retry_after: int | Literal["auto"]
