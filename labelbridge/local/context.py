"""What every route of the local Azure is given: state, rules and the outside world."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.requests import Request

from labelbridge.local.blob_access import BlobAccess
from labelbridge.local.clock import Clock
from labelbridge.local.config import LocalConfig
from labelbridge.local.faults import Faults
from labelbridge.local.quotas import Quotas
from labelbridge.local.rbac import Rbac
from labelbridge.local.state import State
from labelbridge.local.tokens import Tokens


@dataclass
class Context:
    """One local Azure. Never hold a transaction of `state` open across an `await`.

    All handlers run on one event loop and share one database connection, so a transaction that is
    open while another handler runs would mix the two.
    """

    config: LocalConfig
    state: State
    clock: Clock
    rbac: Rbac
    tokens: Tokens
    quotas: Quotas
    faults: Faults
    blobs: BlobAccess
    background: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Endless coroutines that the server starts with itself and cancels at its end; a part adds its own."""


def context_of(request: Request) -> Context:
    """The context of the server that got this request."""
    context: Context = request.app.state.context
    return context
