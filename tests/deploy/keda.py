"""The part of KEDA's resources that the chart uses, as JSON schemas.

Typed by hand from KEDA's custom resource definitions and the documentation of its scaler `temporal` (2.17 and
newer), because they are in no package: closed, so that a field that KEDA does not have is an error.
"""

from typing import Any

_NAME = {"type": "string", "minLength": 1}
_TEMPORAL = (
    "endpoint",
    "namespace",
    "taskQueue",
    "queueTypes",
    "targetQueueSize",
    "activationTargetQueueSize",
    "workerDeploymentName",
    "workerDeploymentBuildId",
    "minConnectTimeout",
    "unsafeSsl",
    "tlsServerName",
)
"""Metadata of the scaler; its deprecated ones are left out."""


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": properties,
    }


_METADATA = {"type": "object", "required": ["name", "labels"]}

SCALED_OBJECT = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "keda.sh/v1alpha1"},
    kind={"const": "ScaledObject"},
    metadata=_METADATA,
    spec=_object(
        ("scaleTargetRef", "triggers"),
        scaleTargetRef=_object(("name",), name=_NAME),
        minReplicaCount={"type": "integer", "minimum": 0},
        maxReplicaCount={"type": "integer", "minimum": 1},
        pollingInterval={"type": "integer", "minimum": 1},
        cooldownPeriod={"type": "integer", "minimum": 0},
        fallback=_object(
            ("failureThreshold", "replicas"),
            failureThreshold={"type": "integer", "minimum": 0},
            replicas={"type": "integer", "minimum": 0},
            behavior={
                "enum": ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
            },
        ),
        triggers={
            "type": "array",
            "minItems": 1,
            "items": _object(
                ("type", "metadata"),
                type={"const": "temporal"},
                metadata=_object(
                    ("endpoint", "taskQueue", "targetQueueSize"),
                    **{key: {"type": "string"} for key in _TEMPORAL},
                ),
                authenticationRef=_object(("name",), name=_NAME),
            ),
        },
    ),
)

TRIGGER_AUTHENTICATION = _object(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "keda.sh/v1alpha1"},
    kind={"const": "TriggerAuthentication"},
    metadata=_METADATA,
    spec=_object(
        ("secretTargetRef",),
        secretTargetRef={
            "type": "array",
            "minItems": 1,
            "items": _object(
                ("parameter", "name", "key"),
                parameter={"enum": ["apiKey", "cert", "key", "keyPassword", "ca"]},
                name=_NAME,
                key=_NAME,
            ),
        },
    ),
)

SCHEMAS = {"ScaledObject": SCALED_OBJECT, "TriggerAuthentication": TRIGGER_AUTHENTICATION}
