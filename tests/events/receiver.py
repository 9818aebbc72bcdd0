"""A real webhook receiver on loopback: notes what came, and answers as a test says."""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook

from tests.operations.rehearsal import eventually

Answer = Callable[["Got"], Awaitable[web.Response] | web.Response]
TYPE = "application/cloudevents+json; charset=utf-8"


def new_secret() -> str:
    """A secret as Standard Webhooks wants it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Got:
    """One request. `event` is the CloudEvent, whose signature is good."""

    event: dict[str, Any]
    headers: dict[str, str]
    answered: int

    @property
    def id(self) -> str:
        return str(self.event["id"])


@dataclass
class Receiver:
    """`async with Receiver(...)`; refuses what is not signed by its secret, as `standardwebhooks` judges."""

    secret: str = field(default_factory=new_secret)
    answer: Answer = lambda _: web.Response(status=204)
    got: list[Got] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def settings(self) -> dict[str, Any]:
        """This receiver as a subscriber."""
        return {"url": self.url, "secrets": [self.secret]}

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        event = Webhook(self.secret).verify(body, headers)
        assert headers["content-type"] == TYPE
        assert headers["webhook-id"] == event["id"]
        got = Got(event, headers, 0)
        answer = self.answer(got)
        response = answer if isinstance(answer, web.Response) else await answer
        self.got.append(Got(event, headers, response.status))
        return response

    def ids(self, *, answered: range = range(200, 300)) -> list[str]:
        """Ids in the order in which they came and were answered so."""
        return [one.id for one in self.got if one.answered in answered]

    def types(self) -> list[str]:
        """Types, without our prefix, of what was taken."""
        taken = [one.event["type"] for one in self.got if one.answered < 300]
        return [one.removeprefix("io.labelbridge.") for one in taken]

    async def has(
        self, look: Callable[["Receiver"], bool], what: str = "the receiver did not get it"
    ) -> None:
        """Wait until what came is so."""

        async def found() -> bool | None:
            await asyncio.sleep(0)
            return True if look(self) else None

        await eventually(found, what, patience=300)
