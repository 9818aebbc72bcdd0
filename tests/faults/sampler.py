"""The sampler: a thread that looks again and again while a project lives, and says so if it cannot.

Prevents evidence that stopped early: a look that fails is tried again, a thread that died is an error of the
next verdict, and what it saw is told apart from the looks of whoever judges.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from azure.core.exceptions import AzureError
from urllib3.exceptions import HTTPError

from labelbridge.local.api import CallError

TROUBLE = (HTTPError, CallError, AzureError, OSError, ValueError)
"""What a fault, or a machine out of breath, makes of a read."""
PATIENCE = 10.0
"""Seconds that a sampler is given to see again before a verdict."""


class BlindError(RuntimeError):
    """The sampler has died: nothing that was witnessed since counts."""


@dataclass(frozen=True)
class Pace:
    """How often is affordable: one look in so many times what a look takes, within bounds (seconds)."""

    least: float
    most: float
    share: float

    def pause(self, took: float) -> float:
        """Seconds until the next look."""
        return min(max(self.least, self.share * took), self.most)


class Sampler:
    """Calls `look` until it is stopped."""

    def __init__(self, look: Callable[[], None], pace: Pace) -> None:
        self._look = look
        self._pace = pace
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def heed(self) -> None:
        """Raise what keeps the sampler from seeing; one that was not started has nothing to say.

        Raises:
            BlindError: it has died.
            Exception: its last look failed of this, and so did those that it was given time for.
        """
        deadline = time.monotonic() + PATIENCE
        while self._failure is not None and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        failure = self._failure
        if self._thread.ident is not None and not self._thread.is_alive() and not self._ended.is_set():
            raise BlindError("the sampler has died") from failure
        if failure is not None:
            raise failure

    def _run(self) -> None:
        pause = self._pace.least
        while not self._ended.wait(pause):
            began = time.monotonic()
            try:
                self._look()
            except TROUBLE as error:
                self._failure = error
            except Exception as error:
                self._failure = error  # raised by `heed`, where somebody hears it
                return
            else:
                self._failure = None
            pause = self._pace.pause(time.monotonic() - began)
