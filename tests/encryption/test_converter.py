"""One place makes the converter: failures are encrypted with the rest, and without keys a payload is named."""

import base64
import json
from pathlib import Path

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from labelbridge import converter
from labelbridge.encryption.marks import ENCODING
from labelbridge.errors import LabelbridgeError
from labelbridge.model import Actor
from labelbridge.settings import Settings
from tests.encryption.test_keys import written

SECRET = "ward 7 tickets"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, encryption={"keys_file": written(tmp_path / "keys.json")})


async def test_a_failures_message_trace_and_details_are_encrypted_and_its_type_is_not(
    settings: Settings,
) -> None:
    sealed, failure = converter.data_converter(settings, "n"), Failure()
    try:
        raise ApplicationError(SECRET, {"document": SECRET}, type="labels_undecided")
    except ApplicationError as error:
        await sealed.encode_failure(error, failure)
    assert SECRET not in str(failure)
    assert "test_converter" not in str(failure)
    assert failure.application_failure_info.type == "labels_undecided"
    assert failure.encoded_attributes.metadata["encoding"] == ENCODING
    found = await sealed.decode_failure(failure)
    assert isinstance(found, ApplicationError)
    assert (found.message, found.details) == (SECRET, ({"document": SECRET},))


async def test_a_process_without_encryption_names_the_key_that_it_lacks(settings: Settings) -> None:
    payloads = await converter.data_converter(settings, "n").encode([SECRET])
    with pytest.raises(LabelbridgeError, match="started without encryption") as caught:
        await converter.data_converter(Settings(_env_file=None), "n").decode(payloads)
    assert (caught.value.code, caught.value.data) == ("encryption_key_unknown", {"key": "a"})


async def test_plain_payloads_are_those_of_pydantics_converter(settings: Settings) -> None:
    actor = Actor(object_id="o", name="n")
    plain = await converter.PLAIN.encode([actor, None, b"x"])
    assert plain == await pydantic_data_converter.encode([actor, None, b"x"])
    hints: list[type] = [Actor, type(None), bytes]
    assert await converter.data_converter(settings, "n").decode(plain, hints) == [actor, None, b"x"]


async def test_a_changed_key_file_is_taken_up_without_a_restart(settings: Settings, tmp_path: Path) -> None:
    first, path = converter.data_converter(settings, "n"), settings.encryption.keys_file
    assert path is not None
    await first.encode([SECRET])
    new = json.loads(path.read_text())
    new["keys"]["b"] = base64.b64encode(b"b" * 32).decode()
    path.unlink()
    written(path, active="b", keys=new["keys"])
    second = converter.data_converter(settings, "n")
    assert await first.decode(await second.encode([SECRET])) == [SECRET]
