"""Ends a process that used a Temporal client; prevents crashes and hangs at interpreter exit.

The SDK's native runtime still calls into Python while the interpreter is being taken down: short
processes were seen to die of SIGSEGV or SIGABRT in about one run of twelve, and to hang for ever
after an abandoned wait (temporalio/sdk-python#300, measured on 1.35). Leaving through `os._exit`
after a flush skips the take-down; it also skips `atexit` handlers, so nothing here may need one.
"""

import contextlib
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """Flush both streams, and spans if there are any, and end the process at once with `code`."""
    if "labelbridge.telemetry.spans" in sys.modules:
        sys.modules["labelbridge.telemetry.spans"].flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
