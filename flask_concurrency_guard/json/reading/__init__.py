"""What is taken for JSON: one behaviour, whatever library does the reading."""

from .reader import NativeDecoder
from .reader import Reader

__all__ = ["NativeDecoder", "Reader"]
