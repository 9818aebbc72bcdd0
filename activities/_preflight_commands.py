"""The exact `az` command that mends a finding.

Prevents advice that has to be translated before it can be run: ids are whole and quoted. And advice that does
something else: names come from whoever asked, and somebody with more rights will paste the command.
"""

import json
import shlex

from labelbridge.azure.arm import resource_group_of, subscription_of
from labelbridge.azure.roles import role_name
from labelbridge.model import arm_name


def grant(role: str, *, object_id: str, scope: str, principal_type: str = "") -> str:
    """Assign `role` (a GUID) to a principal. `scope` is an ARM id or a shell expression `"$(…)"`."""
    typed = ["--assignee-principal-type", principal_type] if principal_type else []
    where = scope if scope.startswith('"$(') else shlex.quote(scope)
    words = ["az", "role", "assignment", "create", "--assignee-object-id", object_id, *typed]
    return f'{shlex.join(words)} --role "{role_name(role)}" --scope {where}'


def storage_scope(account: str) -> str:
    """Shell expression for the ARM id of a storage account of which only the name is known."""
    return f'"$(az storage account show --name {shlex.quote(account)} --query id --output tsv)"'


def create_container(account: str, container: str) -> str:
    """Make a blob container."""
    words = ["az", "storage", "container", "create", "--account-name", account, "--name", container]
    return shlex.join([*words, "--auth-mode", "login"])


def upload_documents(account: str, container: str) -> str:
    """Upload the .txt files of the current folder."""
    words = ["az", "storage", "blob", "upload-batch", "--account-name", account, "--destination", container]
    return shlex.join([*words, "--source", ".", "--pattern", "*.txt", "--auth-mode", "login"])


def create_datastore(workspace: str, *, name: str, account: str, container: str) -> str:
    """Make a datastore that reaches the container by identity (the ml extension reads a YAML file)."""
    lines = ("name: " + name, "type: azure_blob", "account_name: " + account, "container_name: " + container)
    file = f"./{name.replace('/', '_')}.yml"  # a name may begin with a dash
    words = ["az", "ml", "datastore", "create", "--file", file, *_place(workspace, "--workspace-name")]
    return f"printf '%s\\n' {shlex.join(lines)} > {shlex.quote(file)} && {shlex.join(words)}"


def link_storage(language_resource: str, storage: str) -> str:
    """Link a storage account (ARM id) to a Language resource that has none."""
    linked = json.dumps([{"resourceId": storage}], separators=(",", ":"))
    words = ["az", "cognitiveservices", "account", "update", *_place(language_resource, "--name")]
    return shlex.join([*words, "--storage", linked])


def link_storage_named(language_resource: str, account: str) -> str:
    """The same for a storage account of which only the name is known."""
    words = ["az", "cognitiveservices", "account", "update", *_place(language_resource, "--name")]
    identifier = f"$(az storage account show --name {shlex.quote(account)} --query id --output tsv)"
    return f'{shlex.join(words)} --storage "[{{\\"resourceId\\":\\"{identifier}\\"}}]"'


def assign_identity(language_resource: str) -> str:
    """Give a Language resource a system-assigned identity."""
    return shlex.join(
        ["az", "cognitiveservices", "account", "identity", "assign", *_place(language_resource, "--name")]
    )


def _place(resource_id: str, name_option: str) -> list[str]:
    return [
        name_option,
        arm_name(resource_id),
        "--resource-group",
        resource_group_of(resource_id),
        "--subscription",
        subscription_of(resource_id),
    ]
