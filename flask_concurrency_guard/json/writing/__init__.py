"""Writing JSON: by the backend's library where that is safe, by way of a plain copy elsewhere."""

from .writer import Writer

__all__ = ["Writer"]
