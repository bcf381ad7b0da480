"""The command line."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servers import SERVERS
from variants import Variant
from variants import VariantError
from variants import read_setting
from variants import read_variant

VIEWS = ("database", "cpu", "mixed", "shared")
USUAL_VIEWS = VIEWS[:3]  # The last one is another one only where there are several workers.
LOADS = (0.5, 1.0, 2.0, 5.0, 10.0)
VARIANTS = ("none", "semaphore", "guard")
STEP = "step"
OUT = "overload-results"

QUICK_SERVERS = ("gunicorn-gthread-8",)
QUICK_LOADS = (0.5, 1.0, 2.0, 5.0)

WARM_UP_DEADLINES = 1.5
"""Seconds before a run counts, per second of deadline: a queue must have had the time to grow."""

EPILOG = """\
Each of --server, --view, --load and --variant takes several values: --load 2 5 10.
A variant can have settings of its own, so that one run compares several:
  --variant none guard guard+LIMIT=8 guard+LIMIT=8+MAX_WAIT=0
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, and how."""

    servers: tuple[str, ...]
    views: tuple[str, ...]
    loads: tuple[float, ...]
    step: bool
    variants: tuple[Variant, ...]
    seconds: float
    warm_up: float
    rounds: int
    deadline: float
    even: bool
    pin: bool
    quick: bool
    out: Path
    draw: bool


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; end the program with a message where it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        settings = [read_setting(text) for text in given.set]
        names = dict.fromkeys(given.variant or VARIANTS)
        variants = tuple(dict.fromkeys(read_variant(text, settings) for text in names))
    except VariantError as error:
        parser.error(str(error))
    if settings and not any(variant.guard == "guard" for variant in variants):
        parser.error("'--set' is for the variant 'guard', which isn't measured here.")
    if given.draw and given.out is None:
        parser.error("'--draw' needs '--out' with the folder of the results.")
    loads = dict.fromkeys(given.load or (QUICK_LOADS if given.quick else (*LOADS, STEP)))
    return Options(
        servers=_unique(given.server or (QUICK_SERVERS if given.quick else tuple(SERVERS))),
        views=_unique(given.view or (VIEWS[:1] if given.quick else USUAL_VIEWS)),
        loads=tuple(load for load in loads if isinstance(load, float)),
        step=STEP in loads,
        variants=variants,
        seconds=given.seconds or (3.0 if given.quick else 5.0),
        warm_up=given.warm_up or WARM_UP_DEADLINES * given.deadline,
        rounds=given.rounds,
        deadline=given.deadline,
        even=given.arrivals == "even",
        pin=not given.no_pin,
        quick=given.quick,
        out=given.out or Path(OUT, time.strftime("%Y-%m-%d-%H%M%S")),
        draw=given.draw,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="overload",
        description="What becomes of a server when more arrives than it can serve.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = parser.add_argument_group("what to measure")
    several.add_argument("--server", nargs="+", choices=SERVERS, help="default: all of them")
    several.add_argument("--view", nargs="+", choices=VIEWS, help="default: all but the last")
    several.add_argument(
        "--load", nargs="+", type=_load, metavar="X",
        help="in multiples of the capacity; 'step' is 0.5, 5 and 0.5 one after another"
        " (0.5 1 2 5 10 step)",
    )  # fmt: skip
    several.add_argument(
        "--variant", nargs="+", metavar="NAME[+KEY=VALUE]",
        help=f"none, semaphore, guard, age ({' '.join(VARIANTS)})",
    )  # fmt: skip
    several.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="a setting of the guard, such as LIMIT=8; may be repeated",
    )  # fmt: skip
    how = parser.add_argument_group("how")
    how.add_argument(
        "--seconds", type=_number(0.5, 600), help="of each run, that count (5; quick: 3)"
    )
    how.add_argument(
        "--warm-up", type=_number(0.1, 600), metavar="SECONDS",
        help=f"before a run counts ({WARM_UP_DEADLINES} deadlines)",
    )  # fmt: skip
    how.add_argument("--rounds", type=_whole(1, 100), default=1, help="of everything (1)")
    how.add_argument(
        "--deadline", type=_number(0.1, 60), default=1.0, help="seconds a client waits (1)"
    )
    how.add_argument(
        "--arrivals", choices=("random", "even"), default="random",
        help="as strangers come, or like clockwork (random)",
    )  # fmt: skip
    how.add_argument("--no-pin", action="store_true", help="let the system choose the CPUs")
    how.add_argument("--quick", action="store_true", help="a look within two minutes")
    out = parser.add_argument_group("output")
    out.add_argument(
        "--out", type=Path, metavar="FOLDER",
        help=f"of the results; what is there is replaced (a new one in '{OUT}')",
    )  # fmt: skip
    out.add_argument(
        "--draw", action="store_true", help="only print and draw again what is in --out"
    )
    return parser


def _unique(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _load(text: str) -> float | str:
    return text if text == STEP else _number(0.01, 100)(text)


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"'{text}' must be a number from {least:g} to {most:g}"
            )
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"'{text}' must be an integer, {least} to {most}")
        return int(text)

    return read
