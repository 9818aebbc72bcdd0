"""Where the `labelbridge` command begins.

Prevents a `--help` that spends a tenth of its time looking for garbage: modules make many objects while they load,
and none of them is any. A higher threshold than Python's 700 leaves collecting to processes that live.
"""

import gc
from typing import NoReturn

_YOUNG_OBJECTS = 50_000


def run() -> NoReturn:
    """Run the command line and end the process."""
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
    # Loading it is what is made faster.
    from labelbridge.cli import main

    main.run()
