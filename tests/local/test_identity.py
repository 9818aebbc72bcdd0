"""Tokens of the local tenant: who gets one, and what a bad one is worth."""

import base64
import json
from typing import Any

import jwt
import pytest
import urllib3
from azure.storage.blob import BlobServiceClient
from cryptography.hazmat.primitives.asymmetric import rsa

from labelbridge.local.api import ARM, STORAGE, Reply
from labelbridge.local.seed import DATA_ACCOUNT, GROUP, Tenant
from tests.local.conftest import SignIn, StartAzure
from tests.local.servers import LocalAzure, eventually

LIST = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01"


def with_token(tenant: Tenant, token: str | None) -> Reply:
    """An ARM request with this bearer token, or none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    pool = urllib3.PoolManager(ca_certs=str(tenant.place.authority))
    answer = pool.request("GET", tenant.place.base_url + LIST, headers=headers)
    return Reply(answer.status, answer.headers, answer.json())


def test_the_default_credential_is_the_principal_of_its_header(tenant: Tenant, sign_in: SignIn) -> None:
    for name in ("ann", "ben"):
        token = sign_in(name).get_token(f"{STORAGE}/.default")
        claims = jwt.decode(token.token, options={"verify_signature": False})
        assert claims["oid"] == tenant.principals[name].object_id
        assert claims["aud"] == STORAGE
        assert claims["exp"] == token.expires_on


def test_the_blob_service_takes_the_default_credential(tenant: Tenant, sign_in: SignIn) -> None:
    client = BlobServiceClient(
        tenant.place.storage_endpoint.format(account=DATA_ACCOUNT),
        credential=sign_in("worker"),
        connection_verify=str(tenant.place.authority),
    )
    assert list(client.list_containers())


@pytest.mark.parametrize(
    ("headers", "fields", "status"),
    [
        ({}, {}, 401),
        ({"X-IDENTITY-HEADER": "wrong"}, {}, 401),
        (None, {"api-version": "2017-09-01"}, 400),
        (None, {"resource": ""}, 400),
        (None, {"client_id": "11111111-2222-3333-4444-555555555555"}, 400),
    ],
)
def test_the_identity_endpoint_refuses_what_app_service_refuses(
    tenant: Tenant, headers: dict[str, str] | None, fields: dict[str, str], status: int
) -> None:
    sent = {"X-IDENTITY-HEADER": tenant.principals["ann"].identity_header} if headers is None else headers
    query = {"api-version": "2019-08-01", "resource": ARM, **fields}
    answer = urllib3.request("GET", tenant.place.identity_endpoint, fields=query, headers=sent)
    assert answer.status == status


def test_a_principal_may_name_its_own_client_id(tenant: Tenant) -> None:
    ann = tenant.principals["ann"]
    query = {"api-version": "2019-08-01", "resource": ARM, "client_id": ann.client_id}
    headers = {"X-IDENTITY-HEADER": ann.identity_header}
    answer = urllib3.request("GET", tenant.place.identity_endpoint, fields=query, headers=headers)
    assert set(answer.json()) == {"access_token", "expires_on", "resource", "token_type", "client_id"}


def test_a_principal_is_made_once(local_azure: LocalAzure, tenant: Tenant) -> None:
    again = local_azure.nobody.request("POST", "/local/principals", {"name": "ann"}).body
    assert again["object_id"] == tenant.principals["ann"].object_id
    assert again["identity_header"] == tenant.principals["ann"].identity_header


def test_a_missing_token_is_refused_in_azures_shape(tenant: Tenant) -> None:
    reply = with_token(tenant, None)
    assert reply.status == 401
    assert reply.code == "AuthenticationFailed"
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_for_another_service_is_refused(tenant: Tenant) -> None:
    assert with_token(tenant, tenant.caller("admin").token(STORAGE).token).status == 401


def test_a_forged_token_is_refused(tenant: Tenant) -> None:
    genuine = tenant.caller("admin").token(ARM).token
    claims = jwt.decode(genuine, options={"verify_signature": False})
    forger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert with_token(tenant, jwt.encode(claims, forger, algorithm="RS256")).status == 401
    head, _, signature = genuine.split(".")
    body = base64.urlsafe_b64encode(json.dumps({**claims, "oid": "x"}).encode()).rstrip(b"=").decode()
    assert with_token(tenant, f"{head}.{body}.{signature}").status == 401
    unsigned: Any = jwt.encode(claims, "", algorithm="none")
    assert with_token(tenant, unsigned).status == 401
    assert with_token(tenant, genuine).status == 200


def test_an_expired_token_is_refused(start_azure: StartAzure) -> None:
    azure = start_azure(token_seconds=1)
    body = azure.nobody.request("POST", "/local/principals", {"name": "admin"}).body
    owner = {"object_id": body["object_id"], "scope": "/subscriptions/" + GROUP.split("/")[2]}
    azure.nobody.request("POST", "/local/bootstrap-owner", owner)
    query = {"api-version": "2019-08-01", "resource": ARM}
    headers = {"X-IDENTITY-HEADER": body["identity_header"]}
    token = urllib3.request("GET", azure.place.identity_endpoint, fields=query, headers=headers).json()
    pool = urllib3.PoolManager(ca_certs=str(azure.place.authority))

    def status() -> int:
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        return pool.request("GET", azure.place.base_url + LIST, headers=bearer).status

    eventually(status, lambda found: found == 401)
