"""`flask guard probe`: how does a running server serve?"""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import replace

import click

from .. import standard_json
from .probing.answers import Answer
from .probing.asking import MOST_AT_ONCE
from .probing.asking import MOST_REQUESTS
from .probing.asking import Asker
from .probing.facts import Facts
from .probing.facts import Tags
from .probing.model import conclude
from .probing.show import as_json
from .probing.show import show
from .probing.target import BadTarget
from .probing.target import find_target
from .screen import json_option
from .screen import make_screen
from .screen import printable
from .screen import writing

MOST_REDIRECTS = 3

IN_TURN = 3
"""How many are sent one after the other, before the burst, and as many after it."""

PATIENCE = 1.0
"""For how many seconds to go on with those."""

_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*:\s*([^\r\n]*)")

_FAILURES = {
    "timeout": "'{url}' did not answer within {timeout:g} s. Is it stuck? Or give it longer with"
    " --timeout.",
    "refused": "Nothing listens at '{url}'. Start the server, or say another port.",
    "tls": "No TLS connection to '{url}' ({details}). With a certificate of your own making:"
    " --insecure.",
    "plain": "'{url}' speaks plain HTTP, not TLS ({details}): use http://.",
    "broken": "'{url}' gave no proper answer ({details}).",
}


_NOT_TLS = ("wrong version number", "packet length too long", "record layer failure")
"""What OpenSSL says of an answer in plain HTTP. From 3.2 on it is one of the later ones."""


def _read_header(ctx: click.Context, option: click.Parameter, values: Sequence[str]) -> object:
    found = {}
    for value in values:
        match = _HEADER.fullmatch(value.strip())
        if match is None:
            raise click.BadParameter("It must be like 'Name: value'.")
        try:
            match[2].encode("latin-1")
        except UnicodeError:
            raise click.BadParameter("It can have Latin-1 characters only.") from None
        found[match[1]] = match[2]
    return found


@click.command()
@click.argument("url")
@click.option(
    "-n", "number", type=click.IntRange(2, MOST_REQUESTS), default=10, show_default=True,
    help="How many requests to send.",
)  # fmt: skip
@click.option(
    "-c", "at_once", type=click.IntRange(2, MOST_AT_ONCE), default=None,
    help="How many of them at the same time; all, but at most 200, where not given.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0.1, 600), default=60, show_default=True,
    help="How long one request may take, in seconds.",
)  # fmt: skip
@click.option(
    "-H", "--header", "headers", multiple=True, callback=_read_header,
    help="A request header, like 'Name: value'. Can be given several times.",
)  # fmt: skip
@click.option(
    "--process-header", default="X-Process-Id", show_default=True,
    help="The name of the response header that tells the process.",
)  # fmt: skip
@click.option(
    "--thread-header", default="X-Thread-Id", show_default=True,
    help="The name of the one that tells the thread.",
)  # fmt: skip
@click.option("--insecure", is_flag=True, help="Take any certificate.")
@click.option("--yes", is_flag=True, help="Really send requests to another machine.")
@json_option
def probe(
    url: str,
    number: int,
    at_once: int | None,
    timeout: float,
    headers: dict[str, str],
    process_header: str,
    thread_header: str,
    insecure: bool,
    yes: bool,
    wants_json: bool,
) -> None:
    """Find out how a running server serves requests.

    It sends some GET requests to URL in the same instant, and tells from the answers whether they
    were served one after the other, by threads, processes or greenlets, and how many at once. The
    view must take a while: one that sleeps for a second is good.
    """
    try:
        target = find_target(url)
    except BadTarget as error:
        raise click.UsageError(str(error)) from error
    if not (target.is_local or yes):
        raise click.UsageError(
            f"'{target.host}' is another machine. If it is yours, and may get {number} requests at"
            " once, say so with --yes."
        )
    tls = _accept_anything() if insecure else None
    asker = Asker(target, target.addresses[0], timeout, headers, tls)
    tags = Tags(process_header.lower(), thread_header.lower())
    asker, facts = _observe(asker, number, min(at_once or MOST_AT_ONCE, number), tags)
    conclusion = conclude(facts)
    with writing():
        if wants_json:
            click.echo(standard_json.dumps(as_json(asker.target, facts, conclusion), indent=2))
        else:
            show(make_screen(), asker.target, facts, conclusion)


def _observe(asker: Asker, number: int, at_once: int, tags: Tags) -> tuple[Asker, Facts]:
    asker, first = _follow(*_first_answer(asker))
    is_quick = first.took < PATIENCE
    before = [first, *(asker.ask_in_turn(IN_TURN - 1, PATIENCE - first.took) if is_quick else [])]
    if not any(answer.is_served for answer in before):
        raise click.ClickException(
            f"'{asker.target.url}' answers {first.status_text} to a single request"
            f" ({printable(first.reason or 'no reason given')}), so it is too busy to be probed"
            " now."
        )
    burst = asker.ask_at_once(number, at_once)
    if not any(answer.status for answer in burst):
        raise _why(asker, burst[0])
    after = asker.ask_in_turn(IN_TURN, PATIENCE - first.took) if is_quick else []
    return asker, Facts(before, burst, after, at_once, tags)


def _first_answer(asker: Asker) -> tuple[Asker, Answer]:
    """Return the answer to a single request, and who asks at the address that it came from."""
    for address in asker.target.addresses:
        asker = replace(asker, address=address)
        answer = asker.ask()
        if answer.failure not in ("refused", "broken"):
            break
    if answer.failure:
        raise _why(asker, answer)
    return asker, answer


def _follow(asker: Asker, answer: Answer) -> tuple[Asker, Answer]:
    """Go where a redirect leads, as long as that is the same server."""
    for _ in range(MOST_REDIRECTS):
        path = asker.target.path_of_redirect(answer)
        if path is None:
            break
        asker = replace(asker, target=asker.target.with_path(path))
        answer = asker.ask()
        if answer.failure:
            raise _why(asker, answer)
    return asker, answer


def _why(asker: Asker, answer: Answer) -> click.ClickException:
    failure = answer.failure
    if failure == "tls" and any(said in answer.details for said in _NOT_TLS):
        failure = "plain"
    text = _FAILURES[failure].format(
        url=asker.target.url, timeout=asker.timeout, details=answer.details
    )
    return click.ClickException(printable(text))


def _accept_anything() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
