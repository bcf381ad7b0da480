"""Every Python example in the README and the documentation runs."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any
from typing import NamedTuple

import pytest

from flask_concurrency_guard.core.host import folder

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<info>.*)")
SKIP = re.compile(r"\s*(?:<!-- skip: (?P<html>.+?) -->|% skip: (?P<myst>.+))\s*")


class Block(NamedTuple):
    line: int
    source: str
    skipped: bool


def python_blocks(text: str) -> list[Block]:
    """Return the fenced ``python`` blocks, each with the number of its first line."""
    blocks: list[Block] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    skipped = False
    for number, line in lines:
        opened = FENCE.fullmatch(line)
        if opened is None:
            # A blank line may stand between the reason and the block.
            skipped = bool(SKIP.fullmatch(line)) or (skipped and not line.strip())
            continue
        closing = re.compile(rf"\s*{opened['fence']}{opened['fence'][0]}*\s*")
        body = []
        for _, inner in lines:
            if closing.fullmatch(inner):
                break
            body.append(inner)
        else:
            raise ValueError(f"the block of line {number} is never closed.")
        if opened["info"].split()[:1] == ["python"]:
            blocks.append(Block(number + 1, textwrap.dedent("\n".join(body)), skipped))
        skipped = False
    return blocks


def run_blocks(path: Path) -> None:
    """Run a file's blocks in order with one set of names, failing with the file and line."""
    # No example may serve for ever: those that start a server do it as '__main__' only.
    names: dict[str, Any] = {"__name__": "docs"}
    for block in python_blocks(path.read_text("utf-8")):
        # Put at its place in the file, each block's own errors name the file and the line.
        source = "\n" * (block.line - 1) + block.source
        try:
            code = compile(source, str(path), "exec", dont_inherit=True)
            if not block.skipped:
                exec(code, names)
        except Exception as error:
            where = f"{path.name}:{line_of(error, path) or block.line}"
            pytest.fail(f"{where}: {type(error).__name__}: {error}", pytrace=False)


def line_of(error: Exception, path: Path) -> int | None:
    """Return the line of the file that the error came from, the innermost if there are several."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def pages_with_examples() -> list[Path]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in pages if page.exists() and "python" in page.read_text("utf-8")]


@pytest.mark.parametrize(
    "page", pages_with_examples(), ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MEMORY", tmp_path)
    run_blocks(page)


# The tests from here on are about the checks themselves.


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(textwrap.dedent(text), "utf-8")
    return path


def test_blocks_of_a_page_share_their_names(tmp_path: Path) -> None:
    path = page(
        tmp_path,
        """\
        ```python
        answers = [42]
        ```
        Then:
        ```python
        def answer():
            return answers.pop()

        assert answer() == 42
        ```
        """,
    )

    run_blocks(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "```python\nx = 1\n\nraise KeyError(x)\n```\n",
            "page.md:4: KeyError: 1",
            id="exception",
        ),
        pytest.param(
            "Text\n\n- item\n\n  ```python\n  def f():\n      assert 0, 'no'\n  f()\n  ```\n",
            "page.md:7: AssertionError: no",
            id="in-a-function-of-an-indented-block",
        ),
        pytest.param(
            "```python\nx = (\n```\n",
            "page.md:2: SyntaxError: '(' was never closed (page.md, line 2)",
            id="syntax",
        ),
        pytest.param(
            "<!-- skip: needs a cluster -->\n\n```python\nx = 1\nx x\n```\n",
            "page.md:5: SyntaxError: invalid syntax (page.md, line 5)",
            id="syntax-in-a-skipped-block",
        ),
        pytest.param(
            "~~~~python\nint('a')\n~~~~\n",
            "page.md:2: ValueError: invalid literal for int() with base 10: 'a'",
            id="other-fence",
        ),
    ],
)
def test_failing_example_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failure:
        run_blocks(page(tmp_path, text))

    assert str(failure.value) == message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<!-- skip: needs a cluster -->\n```python\n1 / 0\n```\n", id="html"),
        pytest.param("% skip: needs a cluster\n\n```python\n1 / 0\n```\n", id="myst"),
        pytest.param("```ini\n[uwsgi\n```\n", id="not-python"),
        pytest.param("````text\n```python\n1 / 0\n```\n````\n", id="quoted-block"),
        pytest.param(
            "```python\nif __name__ == '__main__':\n    app.run()\n```\n", id="only-as-main"
        ),
    ],
)
def test_example_that_is_not_to_run_does_not_run(tmp_path: Path, text: str) -> None:
    run_blocks(page(tmp_path, text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "<!-- skip: one -->\n```python\n1\n```\n```python\n1 / 0\n```\n", id="used-up"
        ),
        pytest.param("<!-- skip: one -->\nText\n```python\n1 / 0\n```\n", id="text-between"),
        pytest.param("<!-- skip: -->\n```python\n1 / 0\n```\n", id="no-reason"),
    ],
)
def test_skip_holds_for_the_next_block_and_needs_a_reason(tmp_path: Path, text: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="ZeroDivisionError"):
        run_blocks(page(tmp_path, text))


def test_block_that_is_never_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^the block of line 2 is never closed\.$"):
        python_blocks("Text\n```python\nx = 1\n")
