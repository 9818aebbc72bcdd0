"""Margins and local Azure of the lives and campaigns: short, and in proportion."""

BRISK = {
    "EFFECT_DEADLINE": "PT3S",
    "EFFECT_TIMEOUT": "PT3.8S",
    "GATE_DELAY": "PT2.2S",
    "DRAIN": "PT3.5S",
    "SETTLE": "PT0.6S",
    "DRAIN_DEADLINE": "PT60S",
    "LOOK_AGAIN": "PT3S",
    "STEP_PATIENCE": "PT2M",
    "POLL": "PT0.2S",
    "ROLE_POLL": "PT0.3S",
}
"""Margins in about the proportions of the defaults, for gates that are up to 2.2 s late."""
NO_QUOTA = {"language": {"post_per_minute": 6_000, "get_per_minute": 60_000}}
"""As good as none; but steps take turns and requests are counted, so that those are struck too."""
NAMES_AGAIN = {"language": NO_QUOTA["language"] | {"reuse_project_names": True}}
"""A local Azure in which a project whose import was undone can be imported again; what Azure does is not written."""
LATE_GATES = NO_QUOTA | {"jobs": {"export": 0.1}, "nasty": {"gate_takes_effect_after": 2.0}}
"""A local Azure whose exports are quicker than its gates, which are nearly as late as the margins allow."""
