"""Style sheets, scripts and the code editor's files: cached for ever, compressed, and nothing else of the disk."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest

from app.dashboard.assets import Assets
from app.dashboard.base import CONTENT_SECURITY_POLICY
from tests.servers import Server

# What issue and architecture promise; written again here, so that a slip in the code is seen.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'"
)


@pytest.fixture(scope="module")
def base(server: Server) -> str:
    """The URL of the folder, as pages name it."""
    found = re.search(r'"(/ui/assets/[0-9a-f]{12}/)style\.css"', httpx.get(server.url + "/ui/help").text)
    assert found
    return server.url + found[1]


def test_a_file_is_kept_for_ever_under_its_version(base: str) -> None:
    answer = httpx.get(base + "style.css")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"] == "text/css; charset=UTF-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = httpx.get(base + "style.css", headers={"If-None-Match": answer.headers["Etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Etag"] == answer.headers["Etag"]


def test_under_the_version_of_another_server_it_is_asked_for_again(server: Server, base: str) -> None:
    answer = httpx.get(f"{server.url}/ui/assets/000000000000/style.css")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.content == httpx.get(base + "style.css").content


def test_it_travels_compressed_to_those_who_can_read_it(base: str) -> None:
    with httpx.stream("GET", base + "vs/editor/editor.main.js", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    plain = httpx.get(base + "vs/editor/editor.main.js", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    assert packed.headers["Etag"] != plain.headers["Etag"]


def test_every_file_that_is_named_is_there_with_its_type(base: str) -> None:
    types = {"css": "text/css; charset=UTF-8", "js": "text/javascript; charset=UTF-8", "svg": "image/svg+xml"}
    for name in Assets().paths:
        answer = httpx.head(base + name)
        assert answer.status_code == 200, name
        assert answer.headers["Content-Type"] == types[name.rpartition(".")[2]]
        assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "",
        "vs/",
        "vs/LICENSE",
        "vs/assets/ts.worker-CMbG-7ft.js",
        "../page.py",
        "..%2Fpage.py",
        "vs/..%2f..%2fversion.py",
        "%2e%2e/%2e%2e/page.py",
        "/etc/passwd",
        "style.css%00.js",
        "style.css/",
        "STYLE.CSS",
    ],
)
def test_nothing_else_can_be_read(base: str, path: str) -> None:
    # As bytes: httpx would tidy the path up before it is sent.
    target = httpx.URL(base).copy_with(raw_path=(httpx.URL(base).raw_path.decode() + path).encode())
    answer = httpx.get(target)
    assert answer.status_code == 404
    assert "import" not in answer.text


@pytest.mark.parametrize("path", ["/ui/help", "/ui/sign-in", "/ui/nothing", "/ui/assets/000000000000/nothing.js"])
def test_every_page_says_what_it_may_load_and_who_may_show_it(server: Server, path: str) -> None:
    headers = httpx.get(server.url + path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    if "assets" not in path:
        assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
        assert CONTENT_SECURITY_POLICY.startswith(POLICY)
        assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers


def test_methods_that_pages_do_not_have_are_refused(server: Server) -> None:
    assert httpx.head(server.url + "/ui/help").status_code == 200
    assert httpx.head(server.url + "/ui/experiments").headers["Location"] == "/ui/sign-in"
    assert httpx.request("BREW", server.url + "/ui/help").status_code == 405
    assert httpx.put(server.url + "/ui/help").status_code == 403


def test_no_page_holds_a_script_or_loads_from_elsewhere(server: Server) -> None:
    text = httpx.get(server.url + "/ui/help").text
    assert re.findall(r"<script[^>]*>\s*[^<\s]", text) == []
    assert re.findall(r"""(?:src|href|action)=["'](?!/|#)""", text) == []
    assert re.findall(r"\son\w+=", text) == []
