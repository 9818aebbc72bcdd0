"""Other people's words lose their secrets before they are kept in a history, a record or an event."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from temporalio.converter import DefaultFailureConverter, DefaultPayloadConverter
from temporalio.exceptions import ApplicationError

from activities._errors import application_error
from labelbridge.azure.errors import translate
from labelbridge.errors import LabelbridgeError
from labelbridge.redaction import REDACTED, redact_chain

SIGNATURE = "aB3%2FxSECRET%3D"
ADDRESS = f"https://contosodata.blob.core.windows.net/letters/a.txt?sv=2025-01-05&sig={SIGNATURE}"


def refused(status: int, body: str) -> HttpResponseError:
    request = SimpleNamespace(method="GET", url=ADDRESS)
    response: Any = SimpleNamespace(
        status_code=status, reason="No", headers={}, request=request, text=lambda: body, content_type=""
    )
    return HttpResponseError(message=body, response=response)


def kept(error: BaseException) -> str:
    """What Temporal would keep of it, causes included."""
    from temporalio.api.failure.v1 import Failure

    failure = Failure()
    DefaultFailureConverter().to_failure(error, DefaultPayloadConverter(), failure)
    return failure.SerializeToString().decode("utf-8", "replace")


@pytest.mark.parametrize("status", [400, 403, 429, 503])
def test_azures_own_text_travels_without_the_signature_that_it_quotes(status: int) -> None:
    body = json.dumps({"error": {"code": "Bad", "message": f"cannot read {ADDRESS} twice"}})
    found = translate(refused(status, body), "read the blob")
    told = found.info.model_dump_json()
    assert "SECRET" not in told
    assert "cannot read https://contosodata.blob.core.windows.net/letters/a.txt" in told


def test_what_no_server_answered_is_told_without_its_signature() -> None:
    found = translate(ServiceRequestError(f"Cannot connect to {ADDRESS}"), "read the blob")
    assert "SECRET" not in found.message


def test_a_cause_that_quotes_a_secret_does_not_reach_temporal() -> None:
    def failed() -> ApplicationError:
        try:
            try:
                raise refused(403, f"no: {ADDRESS}")
            except HttpResponseError as error:
                raise translate(error, "read the blob") from error
        except LabelbridgeError as error:
            made = application_error(error)
            made.__cause__ = error
            return made

    assert "SECRET" in kept(failed()), "the causes say nothing: this test proves nothing"
    bare = failed()
    assert bare.__cause__ is not None
    bare.__cause__ = redact_chain(bare.__cause__)
    assert "SECRET" not in kept(bare)
    assert REDACTED in kept(bare)


def test_an_error_without_a_secret_is_kept_as_it_is() -> None:
    error = ValueError("nothing to hide")
    error.__cause__ = KeyError("tickets")
    assert redact_chain(error) is error
