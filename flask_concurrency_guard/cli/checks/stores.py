"""Can what processes share be used?"""

from __future__ import annotations

import time
from collections.abc import Iterator

from ...complaints import one_line
from ...core.cluster.connect import Connector
from ...core.host.folder import is_left_to_another_user
from ...core.host.folder import require_private
from ...core.store import StoreError
from .capacity import limit_name
from .finding import Finding
from .finding import Subject
from .finding import error
from .finding import ok
from .finding import warning

NAME_A_FOLDER = "Name a folder that only this user can write to: 'CONCURRENCY_GUARD_DIR'."


def check_host(subject: Subject) -> Iterator[Finding]:
    """Can the files be used that the processes of a host share, and tell their status in?"""
    if subject.state.status is not None:
        try:
            require_private(subject.state.status.find_place()[0])
        except StoreError as failure:
            yield error(f"The workers can't tell what they are doing. {failure}", NAME_A_FOLDER)
    for limit in subject.state.limits.values():
        if limit.settings.scope != "host" or limit.store is None:
            continue
        # Not the store itself, which would make this command one of those who share the limit.
        from ...core.host.store import HostStore

        assert isinstance(limit.store, HostStore)
        if is_left_to_another_user(limit.store.path.parent):
            continue  # Only they can tell.
        try:
            limit.store.check()
        except (StoreError, OSError) as failure:
            yield error(
                f"The processes of this host can't share {limit_name(limit)}. {failure}",
                NAME_A_FOLDER,
            )
        else:
            yield ok(f"The processes of this host share {limit_name(limit)}: {limit.store.path}")


def check_cluster(subject: Subject) -> Iterator[Finding]:
    """Does the store of the cluster answer in time?"""
    settings = subject.state.settings
    shared = [limit for limit in subject.state.limits.values() if limit.settings.scope == "cluster"]
    if not shared or settings.store_url is None:
        return
    connector = Connector(settings.store_url, settings.store_timeout)
    begun = time.monotonic()
    try:
        client = connector.client()
        client.ping()
        connected = time.monotonic()
        client.ping()
        took = time.monotonic() - connected
    except Exception as failure:  # redis-py has many kinds of its own.
        yield error(
            f"The store '{settings.store_url}' doesn't answer: {one_line(failure)}"
            f" (after {time.monotonic() - begun:.3f} s, of {settings.store_timeout:g}).",
            "Start it, or correct 'CONCURRENCY_GUARD_STORE_URL'. Until then"
            f" 'CONCURRENCY_GUARD_ON_STORE_ERROR' decides: '{settings.on_store_error}'.",
        )
        return
    finally:
        connector.close()
    text = f"The store '{settings.store_url}' answers in {1000 * took:.1f} ms"
    if took > settings.store_timeout / 2:
        yield warning(
            f"{text}, and more than {1000 * settings.store_timeout:g} ms count as a failure.",
            "Bring it nearer, or raise 'CONCURRENCY_GUARD_STORE_TIMEOUT'.",
        )
    else:
        yield ok(f"{text}.")
