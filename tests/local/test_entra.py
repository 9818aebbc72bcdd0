"""The local Entra: the code flow, the official credential, and each refusal that Entra would make."""

import base64
import hashlib
import secrets
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
import urllib3
from azure.identity import ClientSecretCredential, DefaultAzureCredential

from labelbridge.local.seed import GROUP, Tenant
from tests.local.conftest import SignIn, StartAzure
from tests.local.servers import LocalAzure

LIST = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01"
REDIRECT = "https://127.0.0.1:1/back"
ROLES = {
    "admin": ["Labelbridge.Owner"],
    "operator": ["Labelbridge.Operator"],
    "viewer": ["Labelbridge.Reader"],
    "ann": [],
}


@dataclass
class Client:
    """A registered application and a browser without a mind of its own."""

    azure: LocalAzure
    client_id: str
    secret: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @classmethod
    def register(cls, azure: LocalAzure, name: str = "a test") -> "Client":
        body = {"name": name, "redirect_uris": [REDIRECT]}
        made = azure.nobody.request("POST", "/local/entra/applications", body).body
        return cls(azure, made["client_id"], made["client_secret"])

    def send(self, method: str, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        pool = urllib3.PoolManager(ca_certs=str(self.azure.place.authority))
        return pool.request(method, url, redirect=False, **options)

    @property
    def discovered(self) -> dict[str, Any]:
        """The provider's own description of itself."""
        place = self.azure.place.base_url
        found: dict[str, Any] = self.send(
            "GET", f"{place}/entra/v2.0/.well-known/openid-configuration"
        ).json()
        return found

    def question(self, **changed: str | None) -> str:
        """Address of an authorization request; None leaves a parameter out."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        query: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "openid profile",
            "state": "s 1",
            "nonce": "n1",
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
            **changed,
        }
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.discovered['authorization_endpoint']}?{urlencode(given)}"

    def answer(self, person: str | None, **changed: str | None) -> dict[str, str]:
        """What the application is told when this object id was chosen."""
        form = {} if person is None else {"person": person}
        reply = self.send("POST", self.question(**changed), body=urlencode(form))
        assert reply.status == 303, reply.data
        target = urlsplit(reply.headers["Location"])
        assert f"{target.scheme}://{target.netloc}{target.path}" == REDIRECT
        return dict(parse_qsl(target.query))

    def redeem(self, code: str, /, **changed: str) -> tuple[int, dict[str, Any]]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": self.verifier,
            "client_id": self.client_id,
            "client_secret": self.secret,
            **changed,
        }
        return self.token(form)

    def token(self, form: dict[str, str], **headers: str) -> tuple[int, dict[str, Any]]:
        reply = self.send("POST", self.discovered["token_endpoint"], body=urlencode(form), headers=headers)
        assert reply.headers["Cache-Control"] == "no-store"
        return reply.status, reply.json()

    def read(self, token: str) -> dict[str, Any]:
        """The claims, checked with the published keys."""
        context = ssl.create_default_context(cafile=str(self.azure.place.authority))
        keys = jwt.PyJWKClient(self.discovered["jwks_uri"], ssl_context=context)
        claims: dict[str, Any] = jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token).key,
            algorithms=["RS256"],
            audience=self.client_id,
            issuer=self.discovered["issuer"],
        )
        return claims


@pytest.fixture
def client(local_azure: LocalAzure, tenant: Tenant) -> Client:
    assert tenant.principals
    return Client.register(local_azure)


@pytest.mark.parametrize("name", list(ROLES))
def test_a_person_signs_in_and_the_id_token_says_who_and_with_which_roles(
    client: Client, tenant: Tenant, name: str
) -> None:
    who = tenant.principals[name]
    answer = client.answer(who.object_id)
    assert answer["state"] == "s 1"
    status, body = client.redeem(answer["code"])
    assert status == 200
    claims = client.read(body["id_token"])
    assert (claims["oid"], claims["nonce"], claims["roles"]) == (who.object_id, "n1", ROLES[name])
    assert claims["preferred_username"].startswith(name)
    assert "nonce" not in client.read(body["access_token"])


def test_the_sign_in_page_lists_people_not_machines_and_says_that_it_is_a_rehearsal(client: Client) -> None:
    page = client.send("GET", client.question())
    text = page.data.decode()
    assert page.status == 200
    assert "rehearsal" in text
    assert "Ann" in text
    assert "Worker" not in text
    assert "form-action 'self' https://127.0.0.1:1" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_request_that_entra_would_refuse_goes_back_with_the_reason(
    client: Client, tenant: Tenant, changed: dict[str, str | None], error: str
) -> None:
    answer = client.answer(tenant.principals["ann"].object_id, **changed)
    assert (answer["error"], answer["state"]) == (error, "s 1")
    assert "code" not in answer


def test_nobody_is_signed_in_by_an_invented_object_id(client: Client, tenant: Tenant) -> None:
    for person in (None, "x", tenant.principals["worker"].object_id):
        assert client.answer(person)["error"] == "access_denied"


@pytest.mark.parametrize(
    "changed",
    [{"client_id": "x"}, {"redirect_uri": "https://evil.example/"}, {"redirect_uri": REDIRECT + "/"}],
)
def test_an_unknown_application_or_address_is_never_redirected_to(
    client: Client, changed: dict[str, str | None]
) -> None:
    for method in ("GET", "POST"):
        reply = client.send(method, client.question(**changed))
        assert reply.status == 400
        assert "Location" not in reply.headers


def test_a_code_is_good_once(client: Client, tenant: Tenant) -> None:
    code = client.answer(tenant.principals["ann"].object_id)["code"]
    assert client.redeem(code)[0] == 200
    status, body = client.redeem(code)
    assert (status, body["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "another"}, "invalid_grant"),
        ({"redirect_uri": "https://127.0.0.1:1/other"}, "invalid_grant"),
        ({"code": "x"}, "invalid_grant"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"client_id": "x"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_redemption_that_does_not_fit_is_refused(
    client: Client, tenant: Tenant, changed: dict[str, str], error: str
) -> None:
    code = client.answer(tenant.principals["ann"].object_id)["code"]
    status, body = client.redeem(code, **changed)
    assert (status >= 400, body["error"]) == (True, error)


def test_a_code_of_another_application_is_refused(client: Client, tenant: Tenant) -> None:
    other = Client.register(client.azure, "another")
    code = client.answer(tenant.principals["ann"].object_id)["code"]
    assert other.redeem(code, code_verifier=client.verifier)[1]["error"] == "invalid_grant"


def test_a_secret_may_come_by_http_basic(client: Client, tenant: Tenant) -> None:
    code = client.answer(tenant.principals["ann"].object_id)["code"]
    basic = base64.b64encode(f"{client.client_id}:{client.secret}".encode()).decode()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    status, _ = client.token({**form, "code_verifier": client.verifier}, Authorization=f"Basic {basic}")
    assert status == 200


def test_the_official_credential_gets_a_machines_token_with_its_app_roles(
    client: Client, tenant: Tenant
) -> None:
    who = tenant.principals["pipeline"]
    with ClientSecretCredential(
        "entra",
        who.client_id,
        who.identity_header,
        authority=client.azure.place.base_url,
        disable_instance_discovery=True,
        connection_verify=str(client.azure.place.authority),
    ) as credential:
        claims = client.read(credential.get_token(f"api://{client.client_id}/.default").token)
    assert (claims["oid"], claims["roles"]) == (who.object_id, ["Labelbridge.Operator"])
    assert (claims["azp"], claims["idtyp"]) == (who.client_id, "app")


def test_a_managed_identity_gets_the_same_for_a_registered_application(
    client: Client, tenant: Tenant, sign_in: SignIn
) -> None:
    credential: DefaultAzureCredential = sign_in("pipeline")
    claims = client.read(credential.get_token(f"api://{client.client_id}/.default").token)
    assert (claims["oid"], claims["ver"]) == (tenant.principals["pipeline"].object_id, "2.0")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"scope": "api://x/.default"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"client_id": "x"}, "invalid_client"),
    ],
)
def test_a_machine_that_is_not_known_or_asks_for_nothing_known_is_refused(
    client: Client, tenant: Tenant, changed: dict[str, str], error: str
) -> None:
    who = tenant.principals["pipeline"]
    form = {
        "grant_type": "client_credentials",
        "client_id": who.client_id,
        "client_secret": who.identity_header,
        "scope": f"api://{client.client_id}/.default",
    }
    assert client.token(form)[0] == 200
    assert client.token({**form, **changed})[1]["error"] == error


def test_roles_are_set_by_the_admin_endpoint_and_are_in_the_next_token(client: Client) -> None:
    who = client.azure.principal("somebody")
    person = {"object_id": who.object_id, "display_name": "Somebody"}
    client.azure.nobody.request("POST", "/local/entra/people", person)
    for roles in (["Labelbridge.Owner", "Labelbridge.Reader"], []):
        client.azure.nobody.request(
            "POST", "/local/entra/roles", {"object_id": who.object_id, "roles": roles}
        )
        _, body = client.redeem(client.answer(who.object_id)["code"])
        assert client.read(body["id_token"])["roles"] == roles


def test_a_token_of_entra_opens_no_service_of_azure(client: Client, tenant: Tenant) -> None:
    _, body = client.redeem(client.answer(tenant.principals["admin"].object_id)["code"])
    for token in (body["id_token"], body["access_token"]):
        reply = client.send(
            "GET",
            client.azure.place.base_url + LIST,
            headers={"Authorization": f"Bearer {token}"},
        )
        assert reply.status == 401


def test_a_code_an_application_and_a_key_survive_a_crash(start_azure: StartAzure) -> None:
    azure = start_azure()
    client = Client.register(azure)
    who = azure.principal("somebody")
    person = {"object_id": who.object_id, "display_name": "Somebody"}
    azure.nobody.request("POST", "/local/entra/people", person)
    code = client.answer(who.object_id)["code"]
    keys = client.send("GET", client.discovered["jwks_uri"]).json()
    azure.child.kill()
    azure.start()
    assert client.send("GET", client.discovered["jwks_uri"]).json() == keys
    assert Client.register(azure).secret == client.secret
    assert client.redeem(code)[0] == 200


def test_signing_out_leads_back_to_a_registered_address_only(client: Client) -> None:
    place = client.discovered["end_session_endpoint"]
    known = urlencode({"client_id": client.client_id, "post_logout_redirect_uri": REDIRECT})
    assert client.send("GET", f"{place}?{known}").headers["Location"] == REDIRECT
    other = urlencode({"client_id": client.client_id, "post_logout_redirect_uri": "https://evil.example/"})
    assert client.send("GET", f"{place}?{other}").status == 200
