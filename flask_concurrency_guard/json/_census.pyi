from collections.abc import Callable

def census(value: object, max_depth: int, /) -> int:
    """Return which features a value has, as flags of :mod:`.features`.

    With ``OTHER`` or ``DEEP`` it is incomplete, since it ends there.

    :param max_depth: How deep containers may be nested, from 0 to 1000.
    :raises ValueError: ``max_depth`` is none of these.
    """

def encode(
    value: object, encoder: Callable[[object], object], refused: int, max_depth: int, /
) -> object:
    """Return ``encoder(value)``, or the flags of the value if some of them are refused.

    Flags that aren't refused may be missing.

    From the first look at the value until the encoder lets it, no other thread runs. On Python
    3.11, where it could start in an encoder, the garbage collector doesn't either.

    :param encoder: A callable that is written in C, and never returns an int.
    :param refused: The flags of what the encoder must not see. ``OTHER`` and ``DEEP`` always
        belong to them, since what is behind these isn't known.
    :param max_depth: How deep containers may be nested, from 0 to 1000.
    :raises ValueError: ``max_depth`` is none of these.
    """

def snapshot(value: object, refused: int, max_depth: int, /) -> object:
    """Return a copy of the value, or its flags if some of them are refused.

    All containers in it are copied, tuples as lists, with None in place of NaN and infinities. No
    other thread runs meanwhile.

    :param refused: The flags of what the caller doesn't want. ``OTHER``, ``DEEP`` and ``KEY``
        always belong to them.
    :param max_depth: How deep containers may be nested, from 0 to 1000.
    :raises ValueError: ``max_depth`` is none of these.
    """
