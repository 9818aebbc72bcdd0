"""A finding's command is pasted into a shell by somebody with more rights: it does nothing but what it says."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from activities import _preflight_commands as commands
from labelbridge.azure import roles

GROUP = "/subscriptions/0-0/resourceGroups/rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
ACCOUNT = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts/contoso"
Make = Callable[[str], str]
COMMANDS: dict[str, Make] = {
    "a datastore": lambda name: commands.create_datastore(
        WORKSPACE, name=name, account="acct", container="c"
    ),
    "a datastore's container": lambda name: commands.create_datastore(
        WORKSPACE, name="store", account="acct", container=name
    ),
    "a container": lambda name: commands.create_container("acct", name),
    "documents": lambda name: commands.upload_documents("acct", name),
    "a role": lambda name: commands.grant(roles.READER, object_id=name, scope=name),
    "a role on storage": lambda name: commands.grant(
        roles.READER, object_id="o", scope=commands.storage_scope(name)
    ),
    "storage": lambda name: commands.link_storage(ACCOUNT, name),
    "storage by name": lambda name: commands.link_storage_named(ACCOUNT, name),
}


@pytest.mark.parametrize("what", COMMANDS)
@pytest.mark.parametrize(
    "name",
    [
        "x'; touch pwned; echo '",
        'x"; touch pwned; echo "',
        "$(touch pwned)",
        "`touch pwned`",
        "x\ntouch pwned\n",
        "x && touch pwned",
        "%n%s",
        "-rf",
        "../../pwned",
    ],
)
def test_a_name_in_a_command_is_a_word_of_it(what: str, name: str, tmp_path: Path) -> None:
    az = tmp_path / "bin" / "az"
    az.parent.mkdir()
    az.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word"; done >> "$SAID"\n')
    az.chmod(0o755)
    inside, said = tmp_path / "a" / "b", tmp_path / "said"
    inside.mkdir(parents=True)
    variables = {"PATH": f"{az.parent}:{os.environ['PATH']}", "SAID": str(said)}
    done = subprocess.run(
        ["bash", "-c", COMMANDS[what](name)], cwd=inside, env=variables, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("pwned"))
    written = b"".join(file.read_bytes() for file in inside.iterdir())
    given = said.read_bytes() + written
    assert name.encode() in given or json.dumps(name)[1:-1].encode() in given
