"""Event Grid's own token at the real console: checked as every token is, and good for deliveries only."""

from tests.console.conftest import lonely, trust  # noqa: F401 - fixtures
from tests.console.serving import Site

PATH = "/api/v1/eventgrid"


def test_a_token_with_the_app_role_delivers_and_may_do_nothing_else(lonely: Site) -> None:  # noqa: F811
    with lonely.program("nora", roles=["Labelbridge.EventSource"]) as event_grid:
        assert event_grid.post(PATH, json=[]).json() == {"received": 0, "started": 0}
        assert event_grid.get("/api/v1/projects").status_code == 403
    with lonely.program("otto") as operator:
        answer = operator.post(PATH, json=[])
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


def test_a_token_of_another_audience_and_no_token_are_refused(lonely: Site) -> None:  # noqa: F811
    with lonely.program("nora", roles=["Labelbridge.EventSource"], aud="another-app") as stranger:
        assert stranger.post(PATH, json=[]).status_code == 401
    with lonely.browser() as nobody:
        assert nobody.post(PATH, json=[]).status_code == 401


def test_the_handshake_of_cloudevents_needs_no_token(lonely: Site) -> None:  # noqa: F811
    with lonely.browser() as nobody:
        answer = nobody.options(PATH, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
        assert answer.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
