def survey(document: bytes, max_depth: int, /) -> int:
    """Return what is in a document, as flags of :mod:`.survey`.

    :param max_depth: How deep arrays and objects may be nested, from 1 to 1000.
    :raises ValueError: ``max_depth`` is none of these.
    """
