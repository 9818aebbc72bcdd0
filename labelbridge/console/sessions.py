"""Sessions of people, sealed into a cookie that only this console can read or make.

Prevents a session store that replicas would have to share, and a session that outlives its people:
idle and absolute lifetimes are inside the seal. Signing out ends a session in the browser and, for
copies of its cookie, in the process that was asked; another replica knows such a copy until it
expires. No token of the identity provider is kept.
"""

import base64
import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr, ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from labelbridge.console.auth.flow import SIGN_IN_TIME, Pending
from labelbridge.console.auth.people import Person
from labelbridge.model import Model
from labelbridge.settings import ConsoleSettings

COOKIE = "__Host-labelbridge"
PENDING_COOKIE = "__Host-labelbridge-sign-in"
RENEW = 60
"""A session's last use is noted to this many seconds: not every answer sets the cookie."""
Clock = Callable[[], float]
M = TypeVar("M", bound=Model)


class Session(Model):
    """Somebody who has signed in with a browser. Times are seconds since 1970."""

    id: str
    person: Person
    csrf: str
    """Token that every form and script of the session's pages sends back."""
    signed_in_at: int
    seen_at: int


class Sessions:
    """Opens, reads, renews and ends sessions."""

    def __init__(self, settings: ConsoleSettings, clock: Clock = time.time) -> None:
        """`settings` must have a `session_key`."""
        self._idle = settings.session_idle.total_seconds()
        self._lifetime = settings.session_lifetime.total_seconds()
        self._clock = clock
        keys = [k for k in (settings.session_key, settings.session_key_before) if k]
        self._session_seal = _seal(keys, "session")
        self._pending_seal = _seal(keys, "sign-in")
        self._ended: dict[str, float] = {}

    def open(self, person: Person, response: Response) -> Session:
        """A new session, with a new id and CSRF token, given to the browser."""
        now = int(self._clock())
        session = Session(
            id=secrets.token_urlsafe(16),
            person=person,
            csrf=secrets.token_urlsafe(32),
            signed_in_at=now,
            seen_at=now,
        )
        self._give(session, response)
        response.delete_cookie(PENDING_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return session

    def read(self, request: HTTPConnection) -> Session | None:
        """The session of the request's cookie; None without one, and for one that is forged or over."""
        session = _unseal(self._session_seal, request.cookies.get(COOKIE), Session)
        if session is None or session.id in self._ended or self.ends_in(session) <= 0:
            return None
        return session

    def ends_in(self, session: Session) -> float:
        """Seconds until the session is over if it is not used again."""
        now = self._clock()
        return min(session.seen_at + self._idle, session.signed_in_at + self._lifetime) - now

    def renew(self, session: Session, response: Response) -> None:
        """Note that the session was used, if that is worth a cookie."""
        now = int(self._clock())
        if now - session.seen_at >= RENEW and session.id not in self._ended:
            self._give(session.model_copy(update={"seen_at": now}), response)

    def end(self, session: Session | None, response: Response) -> None:
        """Sign out."""
        now = self._clock()
        self._ended = {id_: until for id_, until in self._ended.items() if until > now}
        if session is not None:
            self._ended[session.id] = session.signed_in_at + self._lifetime
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")

    def remember(self, pending: Pending, response: Response) -> None:
        """Give the browser a sign-in that has begun."""
        _set(response, PENDING_COOKIE, _sealed(self._pending_seal, pending), SIGN_IN_TIME)

    def recall(self, request: HTTPConnection) -> Pending | None:
        """The sign-in that this browser began."""
        return _unseal(self._pending_seal, request.cookies.get(PENDING_COOKIE), Pending)

    def _give(self, session: Session, response: Response) -> None:
        left = session.signed_in_at + self._lifetime - self._clock()
        _set(response, COOKIE, _sealed(self._session_seal, session), max(0, int(left)))


def _seal(keys: list[SecretStr], purpose: str) -> MultiFernet:
    """One key for each purpose, so that a cookie of one kind never passes for another."""

    def derived(secret: SecretStr) -> Fernet:
        key = HKDF(SHA256(), 32, salt=None, info=f"labelbridge {purpose}".encode())
        return Fernet(base64.urlsafe_b64encode(key.derive(secret.get_secret_value().encode())))

    return MultiFernet([derived(key) for key in keys])


def _sealed(seal: MultiFernet, model: Model) -> str:
    return seal.encrypt(model.model_dump_json().encode()).decode()


def _unseal(seal: MultiFernet, text: str | None, model: type[M]) -> M | None:
    if not text:
        return None
    try:
        return model.model_validate_json(seal.decrypt(text.encode()))
    except (InvalidToken, ValidationError, UnicodeError):
        return None


def _set(response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")
