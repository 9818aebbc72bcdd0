"""The margins of an operation, out of a worker's settings."""

from labelbridge.model.steps import Timing
from labelbridge.settings import Settings


def timing_of(settings: Settings) -> Timing:
    """What workflows keep for the whole of an operation, although settings change meanwhile."""
    throttle = settings.throttle
    return Timing.model_validate(
        settings.timing.model_dump()
        | {
            "turns": throttle.turns and bool(settings.registry.account),
            "turn_patience": throttle.turn_patience,
        }
    )
