"""Temporary files of a step."""

import tempfile
from typing import BinaryIO

from labelbridge.labels.views import view

__all__ = ["scratch", "view"]


def scratch() -> BinaryIO:
    """A temporary file without a name, which vanishes with the process, however it ends."""
    return tempfile.TemporaryFile(prefix="labelbridge-")
