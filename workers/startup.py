"""What a worker checks before it takes work: Temporal, its search attributes, the record store.

Prevents the worker that looks alive and can do nothing: each dependency is reached once, within
`settings.temporal.connect_timeout`, or the process ends with a message that names it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import structlog
from azure.core.exceptions import AzureError
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from labelbridge import client as client_module
from labelbridge import names
from labelbridge._connecting import connect_config
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.registry import Registry
from labelbridge.settings import Settings

log = structlog.get_logger(__name__)

SEARCH_ATTRIBUTES = names.SEARCH_ATTRIBUTES
RETRY_INTERVAL = 0.25
"""Seconds between two attempts to reach a service that is still starting."""

T = TypeVar("T")


class _NotReachedError(Exception):
    """One attempt failed; it may be repeated."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        self.remedy = remedy
        super().__init__(reason)


async def _reach(attempt: Callable[[], Awaitable[T]], patience: timedelta, code: str, what: str) -> T:
    """Repeat `attempt` until it succeeds; after `patience` raise `code` with the last reason."""
    deadline = time.monotonic() + patience.total_seconds()
    reason, remedy = f"no answer within {patience.total_seconds():.0f} s", None
    while True:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await attempt()
        except _NotReachedError as error:
            reason, remedy = str(error), error.remedy
        except TimeoutError:
            pass
        if time.monotonic() + RETRY_INTERVAL >= deadline:
            raise LabelbridgeError(code, f"{what}: {reason}", remedy=remedy)
        await asyncio.sleep(RETRY_INTERVAL)


async def connect_temporal(settings: Settings) -> Client:
    """A connected client, as every caller of Labelbridge connects, whose namespace exists.

    Raises:
        LabelbridgeError: `temporal_unreachable`; what else `labelbridge.client.connect_temporal` raises.
    """
    config = connect_config(settings)
    where = f"{config['target_host']}, namespace {config['namespace']}"

    async def attempt() -> Client:
        try:
            client = await client_module.connect_temporal(settings)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace)
            )
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.PERMISSION_DENIED):
                raise LabelbridgeError("temporal_unreachable", f"{where}: {error.message}") from error
            raise _NotReachedError(error.message) from error
        except LabelbridgeError as error:
            if error.code != "temporal_unreachable":
                raise
            raise _NotReachedError(error.message, error.remedy) from error
        return client

    return await _reach(attempt, settings.temporal.connect_timeout, "temporal_unreachable", where)


async def register_search_attributes(client: Client) -> None:
    """Add our search attributes to the namespace if they are missing.

    Temporal Cloud and locked-down clusters let only an administrator add them. An entity cannot go on in a
    namespace that lacks one: the server fails its workflow task for as long as it does. So a worker that sees
    one missing and may not add it takes no work; one that may not even look only warns.

    Raises:
        LabelbridgeError: `search_attributes_missing` names them.
    """
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError as error:
        log.warning("search_attributes_not_known", names=SEARCH_ATTRIBUTES, reason=error.message)
        return
    missing = [name for name in SEARCH_ATTRIBUTES if name not in listed.custom_attributes]
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=client.namespace,
                search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            )
        )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:  # another worker was faster
            return
        raise LabelbridgeError(
            "search_attributes_missing",
            f"Namespace {client.namespace} lacks {', '.join(missing)}, and they could not be added: {error.message}",
        ) from error
    log.info("search_attributes_added", names=missing)


async def open_registry(session: AzureSession, settings: Settings) -> Registry:
    """The record store, reached once.

    Raises:
        LabelbridgeError: `settings_invalid` without an account, `registry_unreachable` otherwise.
    """
    account, container = settings.registry.account, settings.registry.container
    if not account:
        raise LabelbridgeError("settings_invalid", "registry.account: give LABELBRIDGE_REGISTRY__ACCOUNT.")
    registry = Registry(session.blobs(account), container)
    where = f"container {container} at {settings.azure.storage_endpoint.format(account=account)}"

    async def attempt() -> Registry:
        try:
            await registry.ensure()
        except (LabelbridgeError, AzureError) as error:
            if isinstance(error, LabelbridgeError) and error.final:
                raise LabelbridgeError("registry_unreachable", f"{where}: {error.message}") from error
            raise _NotReachedError(str(error)) from error
        return registry

    return await _reach(attempt, settings.temporal.connect_timeout, "registry_unreachable", where)
