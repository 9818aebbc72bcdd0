"""The environment of a process of one principal: all that tells the product where it is.

Prevents a product that knows it is local: endpoints, trust and credentials come through the settings
and the managed-identity contract, exactly as in Azure, and nothing else differs.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path

from labelbridge.local.config import LocalConfig
from labelbridge.local.seed import RECORDS_ACCOUNT, Tenant

FAST: Mapping[str, str] = {
    "EFFECT_DEADLINE": "PT3S",
    "EFFECT_TIMEOUT": "PT4S",
    "GATE_DELAY": "PT1S",
    "DRAIN": "PT3.5S",
    "SETTLE": "PT1S",
    "DRAIN_DEADLINE": "PT60S",
    "LOOK_AGAIN": "PT3S",
    "STEP_PATIENCE": "PT2M",
    "POLL": "PT0.2S",
    "ROLE_POLL": "PT0.3S",
}
"""Margins for a machine where the studios' gates are under a second late; they satisfy the same
inequalities as the defaults."""


def environment(
    tenant: Tenant,
    principal: str,
    *,
    temporal_address: str,
    temporal_ui: str | None = None,
    offset_unit: str = "utf16",
    timing: Mapping[str, str] = FAST,
    reconcile: str = "PT0S",
) -> dict[str, str]:
    """Variables for a process that runs as `principal`.

    `reconcile` is how often the fleet is looked at: never, unless a rehearsal is about that.
    """
    found = {
        "IDENTITY_ENDPOINT": tenant.place.identity_endpoint,
        "IDENTITY_HEADER": tenant.principals[principal].identity_header,
        "LABELBRIDGE_TEMPORAL__ADDRESS": temporal_address,
        "LABELBRIDGE_AZURE__ARM_ENDPOINT": tenant.place.base_url,
        "LABELBRIDGE_AZURE__STORAGE_ENDPOINT": tenant.place.storage_endpoint,
        "LABELBRIDGE_REGISTRY__ACCOUNT": RECORDS_ACCOUNT,
        "LABELBRIDGE_CA_BUNDLE": str(tenant.place.authority),
        "LABELBRIDGE_LANGUAGE_RESOURCE": tenant.language_resource,
        "LABELBRIDGE_WORKSPACE": tenant.workspace,
        "LABELBRIDGE_LABELS__OFFSET_UNIT": offset_unit,
        "LABELBRIDGE_RECONCILE__INTERVAL": reconcile,
    }
    if temporal_ui:
        found["LABELBRIDGE_TEMPORAL__UI"] = temporal_ui
    return found | {f"LABELBRIDGE_TIMING__{name}": value for name, value in timing.items()}


def throttle(config: LocalConfig) -> dict[str, str]:
    """The quotas of this local Azure, as its workers are told of them."""
    return {
        "LABELBRIDGE_THROTTLE__POST_PER_MINUTE": str(config.language.post_per_minute),
        "LABELBRIDGE_THROTTLE__GET_PER_MINUTE": str(config.language.get_per_minute),
        "LABELBRIDGE_THROTTLE__WINDOW": f"PT{max(1.0, config.quota_window)}S",
    }


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """A file for `set -a; . FILE`, readable by its owner only: the identity header is a secret."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))
