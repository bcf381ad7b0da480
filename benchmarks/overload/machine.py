"""The machine: which CPU serves, which one makes the load, and who else is busy there."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPEN_FILES = 65_536
"""What the lab asks for. The clients of a second of overload are all open at once."""


class Machine:
    """The CPUs that the lab may use.

    :param pin: whether the server gets one of them for itself, and the generator another one.
    """

    def __init__(self, pin: bool = True) -> None:
        cpus = sorted(os.sched_getaffinity(0))
        self.pinned = pin and len(cpus) > 1
        self.server_cpus = {cpus[0]} if self.pinned else set(cpus)
        self.generator_cpus = {cpus[1]} if self.pinned else set(cpus)

    def settle(self) -> None:
        """Leave the server's CPU to the server, and allow for many open files."""
        os.sched_setaffinity(0, self.generator_cpus)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))

    @contextmanager
    def on_server_cpu(self) -> Iterator[None]:
        """Run on the server's CPU for a while; what is started meanwhile stays there."""
        os.sched_setaffinity(0, self.server_cpus)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self.generator_cpus)

    def busy_seconds(self) -> float | None:
        """Return for how long the server's CPU has been busy; None if it isn't for it alone."""
        if not self.pinned:
            return None
        (cpu,) = self.server_cpus
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name == f"cpu{cpu}":
                user, nice, system, _, _, irq, softirq, steal, *_ = map(int, ticks)
                busy = user + nice + system + irq + softirq + steal
                return busy / os.sysconf("SC_CLK_TCK")
        return None


def complain() -> str:
    """Return what is missing on this machine; nothing if all is there."""
    if sys.platform != "linux":
        return "The lab needs Linux: it reads '/proc', and its load generator uses epoll."
    return ""
