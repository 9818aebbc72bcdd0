"""What is kept of a fleet act, in the registry: who asked what, of which projects, and what became of each.

Prevents two failures: an act that is done twice because Temporal forgot it (its key is taken for ever by the first
blob), and a report that grows the workflow's history with the fleet. Layout, beside the registry's own:

    fleet/<id>/act.json              the order: who, what, which filter, when
    fleet/<id>/projects.json         the projects that it found, in the order of their turns
    fleet/<id>/report/<number>.json  what became of them, a page each
    fleet/<id>/report.json           how it ended
"""

from typing import Self, TypeVar

from labelbridge.azure.blobs import Blobs
from labelbridge.azure.session import AzureSession
from labelbridge.errors import LabelbridgeError
from labelbridge.fleet.orders import PAGE, FleetEnded, FleetOrder, FleetProjects, FleetRow, FleetStatus
from labelbridge.forms import parsed
from labelbridge.model import Model, ProjectRef
from labelbridge.settings import Settings

M = TypeVar("M", bound=Model)


class Acts:
    """The fleet acts of one registry."""

    def __init__(self, blobs: Blobs, container: str) -> None:
        """Nothing is read yet."""
        self._blobs = blobs
        self._container = container

    @classmethod
    def of(cls, session: AzureSession, settings: Settings) -> Self:
        """Those of the settings' registry; `settings_invalid` without an account."""
        account, container = settings.registry.account, settings.registry.container
        if not account:
            raise LabelbridgeError("settings_invalid", "registry.account: the storage account of the record")
        return cls(session.blobs(account), container)

    async def begin(self, order: FleetOrder) -> None:
        """Take the act's id, for ever.

        Raises:
            LabelbridgeError: `key_reused` if it was taken for something else.
        """
        name = f"fleet/{order.id}/act.json"
        if await self._create(name, order):
            return
        first = await self._read(FleetOrder, name)
        if first is None or first.digest != order.digest:
            raise LabelbridgeError("key_reused", f"The fleet act {order.id} was another.")

    async def order(self, id: str) -> FleetOrder | None:  # noqa: A002
        """What was asked, or None if there was no such act."""
        return await self._read(FleetOrder, f"fleet/{id}/act.json")

    async def keep_projects(self, id: str, projects: tuple[ProjectRef, ...]) -> int:  # noqa: A002
        """Fix the projects of an act, unless an earlier attempt did; returns how many they are."""
        await self._create(f"fleet/{id}/projects.json", FleetProjects(projects=projects))
        return len((await self.projects(id)) or ())

    async def projects(self, id: str) -> tuple[ProjectRef, ...] | None:  # noqa: A002
        """The projects of an act; None before they were fixed."""
        kept = await self._read(FleetProjects, f"fleet/{id}/projects.json")
        return None if kept is None else kept.projects

    async def some(self, id: str, start: int) -> tuple[ProjectRef, ...]:  # noqa: A002
        """A page of the projects, from `start` on."""
        return ((await self.projects(id)) or ())[start : start + PAGE]

    async def write_page(self, id: str, number: int, rows: tuple[FleetRow, ...]) -> None:  # noqa: A002
        """Keep a page of the report; written again, the first stays, and is the same."""
        await self._create(_page(id, number), FleetEnded(rows=rows))

    async def rows(self, id: str) -> tuple[FleetRow, ...]:  # noqa: A002
        """All pages of the report that there are."""
        found: list[FleetRow] = []
        while (page := await self._read(FleetEnded, _page(id, len(found) // PAGE))) is not None:
            found += page.rows
            if len(page.rows) < PAGE:
                break
        return tuple(found)

    async def end(self, status: FleetStatus) -> None:
        """Keep how the act ended; written again, the first stays."""
        await self._create(f"fleet/{status.order.id}/report.json", status)

    async def ended(self, id: str) -> FleetStatus | None:  # noqa: A002
        """How the act ended, or None if it has not, or there was none."""
        return await self._read(FleetStatus, f"fleet/{id}/report.json")

    async def _create(self, name: str, content: Model) -> bool:
        data = content.model_dump_json().encode()
        return await self._blobs.create(self._container, name, data) is not None

    async def _read(self, model: type[M], name: str) -> M | None:
        content = await self._blobs.read(self._container, name)
        if content is None:
            return None
        return parsed(model, content.data, name)


def _page(id: str, number: int) -> str:  # noqa: A002
    return f"fleet/{id}/report/{number:06d}.json"
