"""A Temporal namespace of a room's own, on a server that others use too."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from tests.operations.rehearsal import eventually

RETENTION = timedelta(days=1)


async def make_namespace(address: str, name: str) -> None:
    """Register it, and wait until the server serves it."""
    client = await Client.connect(address)
    retention = Duration(seconds=int(RETENTION.total_seconds()))
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )

    async def served() -> bool | None:
        try:
            await (await Client.connect(address, namespace=name)).count_workflows()
        except Exception:
            return None
        return True

    await eventually(served, "the namespace is not served")
