"""The local Key Vault, by the official client: challenge, versions, pages, roles."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.secrets import SecretClient

from labelbridge.local.api import Caller
from labelbridge.local.seed import GROUP, SUBSCRIPTION, Tenant, grant
from tests.local.conftest import SignIn
from tests.local.servers import LocalAzure, eventually

SCOPE = f"{GROUP}/providers/Microsoft.KeyVault/vaults"


@pytest.fixture
def vault(local_azure: LocalAzure, tenant: Tenant, sign_in: SignIn) -> Iterator[Any]:
    """`vault(name, who)`: the official client on the vault of that name."""
    made: list[SecretClient] = []

    def open_vault(name: str, who: str) -> SecretClient:
        address = f"{local_azure.place.base_url}/key-vault/{SUBSCRIPTION}/{GROUP.split('/')[-1]}/{name}"
        made.append(
            SecretClient(
                address, sign_in(who), connection_verify=str(local_azure.place.authority), retry_total=0
            )
        )
        return made[-1]

    yield open_vault
    for client in made:
        client.close()


def allow(local_azure: LocalAzure, tenant: Tenant, who: str, role: str, vault: str) -> None:
    admin = Caller(local_azure.place, tenant.principals["admin"])
    grant(admin, tenant.principals[who].object_id, role, f"{SCOPE}/{vault}")


def test_versions_are_set_read_listed_and_disabled(
    local_azure: LocalAzure, tenant: Tenant, vault: Any
) -> None:
    allow(local_azure, tenant, "admin", "Key Vault Secrets Officer", "contoso")
    client = vault("contoso", "admin")
    until_allowed(client)
    first = client.set_secret("a-key", "one")
    second = client.set_secret("a-key", "two", enabled=True)
    assert first.properties.version != second.properties.version
    assert client.get_secret("a-key").value == "two"
    assert client.get_secret("a-key", first.properties.version).value == "one"
    assert first.id == f"https://contoso.vault.azure.net/secrets/a-key/{first.properties.version}"

    client.update_secret_properties("a-key", second.properties.version, enabled=False)
    with pytest.raises(HttpResponseError, match="disabled"):
        client.get_secret("a-key", second.properties.version)
    listed = {one.version: one.enabled for one in client.list_properties_of_secret_versions("a-key")}
    assert listed == {first.properties.version: True, second.properties.version: False}

    for _ in range(26):
        client.set_secret("many", "x")
    assert len({one.version for one in client.list_properties_of_secret_versions("many")}) == 26
    with pytest.raises(ResourceNotFoundError) as caught:
        client.get_secret("nothing")
    assert caught.value.error is not None
    assert caught.value.error.code == "SecretNotFound"


def test_a_role_on_one_vault_opens_no_other_and_a_user_does_not_write(
    local_azure: LocalAzure, tenant: Tenant, vault: Any
) -> None:
    allow(local_azure, tenant, "admin", "Key Vault Secrets Officer", "theirs")
    writer = vault("theirs", "admin")
    until_allowed(writer)
    writer.set_secret("a-key", "one")
    allow(local_azure, tenant, "operator", "Key Vault Secrets User", "theirs")
    reader = vault("theirs", "operator")
    until_allowed(reader)
    assert reader.get_secret("a-key").value == "one"
    with pytest.raises(HttpResponseError, match="setSecret"):
        reader.set_secret("a-key", "two")
    with pytest.raises(HttpResponseError) as caught:
        vault("another", "operator").get_secret("a-key")
    assert caught.value.status_code == 403


def until_allowed(client: SecretClient) -> None:
    """Wait until a role has come into force."""

    def look() -> bool:
        try:
            return not list(client.list_properties_of_secret_versions("nothing"))
        except HttpResponseError as error:
            if error.status_code != 403:
                raise
            return False

    eventually(look, bool)
