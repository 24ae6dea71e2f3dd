"""Which pages may call what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers import COUNTING, PASSWORD, Researcher, Server

CLIENT = "http://client.example:5000"


@pytest.mark.parametrize("path", ["getaction", "setreward"])
def test_any_page_may_call_getaction_and_setreward_without_credentials(researcher: Researcher, path: str) -> None:
    experiment = researcher.create(**COUNTING)
    headers = {"Origin": "https://anywhere.example"}
    answer = experiment.http.get(f"/{path}/{experiment.id}", headers=headers)
    assert answer.status_code == 400  # the key is missing: errors can be read as well
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    preflight = experiment.http.options(f"/{path}/{experiment.id}", headers=headers)
    assert preflight.status_code == 204
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
def test_the_cookie_is_no_good_on_other_sites_pages(researcher: Researcher, headers: dict[str, str]) -> None:
    answer = researcher.http.get("/exp", headers=headers)
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert researcher.http.get("/exp", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    own = f"http://{researcher.http.base_url.netloc.decode()}"
    assert researcher.http.get("/exp", headers={"Origin": own}).status_code == 200


@pytest.mark.parametrize("path", ["/login", "/user", "/logout"])
def test_no_foreign_page_signs_a_browser_in_or_out(server: Server, researcher: Researcher, path: str) -> None:
    """A form with enctype text/plain needs no preflight, and the victim would then write into another's account."""
    body = {"username": researcher.name, "password": PASSWORD}
    with server.client() as victim:  # without a cookie so far
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = victim.post(path, json=body, headers={"Content-Type": "text/plain", **headers})
            assert answer.status_code == 403
            assert "Set-Cookie" not in answer.headers
        own = f"http://{victim.base_url.netloc.decode()}"
        assert victim.post("/login", json=body, headers={"Origin": own}).status_code == 200


def test_an_allowed_origin_is_answered_as_browsers_want_it(start: Callable[..., Server]) -> None:
    server = start(**{"http.allowed_origins": [CLIENT]})
    headers = {"Origin": CLIENT, "Sec-Fetch-Site": "same-site", "Content-Type": "application/vnd.api+json"}
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING)
        url = f"/exp/{experiment.id}"
        for answer in (
            researcher.http.get("/exp?_sort=id&_start=0", headers=headers),
            researcher.http.get("/exp/unknown", headers=headers),
            researcher.http.options(url, headers=headers | {"Access-Control-Request-Method": "DELETE"}),
        ):
            assert answer.headers["Access-Control-Allow-Origin"] == CLIENT
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert {"PUT", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        reset = researcher.http.get(f"{url}/resetexperiment", params={"key": experiment.key}, headers=headers)
        assert reset.status_code == 200
        assert researcher.http.delete(url, headers=headers).json() == experiment.id


def test_debug_answers_repeat_what_went_in(start: Callable[..., Server]) -> None:
    server = start(**{"server.debug": True})
    with server.researcher() as researcher:
        experiment = researcher.create(**COUNTING | {"get_action": "self.action['arm'] = 'a'\nself.debug([1, 'x'])"})
        action = experiment.get_action(context={"n": 1}).json()
        assert action == {"action": {"arm": "a"}, "context": {"n": 1, "_debug": [[1, "x"]]}}
        given = {"context": {"n": 1}, "action": {"arm": "a"}, "reward": {"value": 1}}
        assert experiment.set_reward(**given).json() == {"status": "success", **given}
