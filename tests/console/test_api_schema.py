"""The API answers as its OpenAPI document says, whatever it is asked, and never with a 500.

schemathesis makes the requests. A few for each route run with the tests; `make fuzz-api` makes many.
"""

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.console.serving import Site
from tests.console.test_security import application

EXAMPLES = int(os.environ.get("LABELBRIDGE_FUZZ_EXAMPLES", "3"))
"""Requests for each route; `make fuzz-api` sets it."""
LONG = 50


schema = schemathesis.openapi.from_dict(application().openapi())
# Its systematic boundary values are dozens of requests for each route: for the long run only.
schema.config.phases.coverage.enabled = EXAMPLES >= LONG


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES < LONG,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: "schemathesis.Case[Any]", console: Site) -> None:
    answer = case.call(
        base_url=console.url,
        headers=console.issuer.bearer("olga"),
        verify=str(console.ca),
        timeout=120,
        allow_redirects=False,
    )
    case.validate_response(
        answer,
        checks=[
            schemathesis.checks.not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_headers_conformance,
            response_schema_conformance,
        ],
    )
