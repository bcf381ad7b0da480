"""The parts of `demo.py`."""

import sys
from importlib.util import find_spec

# Here, since it is the first of all that `demo.py` imports.
if find_spec("flask_concurrency_guard") is None:
    sys.exit(
        "'flask_concurrency_guard' is not installed for this Python. In the folder above"
        " 'examples', say 'make demo', or 'pip install .' and try again."
    )
