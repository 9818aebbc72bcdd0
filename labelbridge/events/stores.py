"""Everything of events that is kept in a registry, opened together."""

from dataclasses import dataclass
from typing import Self

from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.events.exports import Exports
from labelbridge.events.outbox import Outbox
from labelbridge.events.policy import Policies
from labelbridge.events.subscribers import Subscribers
from labelbridge.latest import Markers
from labelbridge.settings import Settings


@dataclass(frozen=True)
class Stores:
    """The outbox, the subscribers, the markers, the policies and the exports of one registry."""

    outbox: Outbox
    subscribers: Subscribers
    markers: Markers
    policies: Policies
    exports: Exports

    @classmethod
    def of(cls, session: AzureSession, settings: Settings) -> Self:
        """Those of the settings' registry; nothing is read. One outbox per process is enough.

        Raises:
            LabelbridgeError: `settings_invalid` without an account.
        """
        account, container = settings.registry.account, settings.registry.container
        if not account:
            raise LabelbridgeError("settings_invalid", "registry.account: the storage account of the record")
        blobs = session.blobs(account)
        return cls(
            outbox=Outbox(blobs, container),
            subscribers=Subscribers(blobs, container),
            markers=Markers(blobs, container),
            policies=Policies(blobs, container),
            exports=Exports(blobs, container),
        )
