"""deploy/nginx.conf in a real nginx, in front of two servers."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import COUNTING, PASSWORD, Researcher, Server

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


class Proxy:
    """A running nginx: ``url`` is https with a certificate of its own; ``served_by`` reads which server answered."""

    def __init__(self, folder: Path, servers: list[Server]) -> None:
        self._folder = folder
        self.port, self.plain_port = free_port(), free_port()
        self.url = f"https://localhost:{self.port}"
        make_certificate(folder)
        (folder / "nginx.conf").write_text(self._wrapped(servers))

    def _wrapped(self, servers: list[Server]) -> str:
        text = CONFIGURATION.read_text()
        for place, server in enumerate(servers, 1):
            text, count = re.subn(rf"10\.0\.0\.{place}:8080", server.url.removeprefix("http://"), text)
            assert count == 1
        text = text.replace("/etc/nginx/certificate.pem", f"{self._folder}/certificate.pem")
        text = text.replace("/etc/nginx/key.pem", f"{self._folder}/key.pem")
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.plain_port};")
        temporary = "".join(
            f"{name}_temp_path {self._folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return (
            f"pid {self._folder}/pid;\nerror_log {self._folder}/error.log;\nevents {{}}\nhttp {{\n{temporary}"
            f"log_format seen '$uri $upstream_addr';\naccess_log {self._folder}/access.log seen;\n{text}}}\n"
        )

    def __enter__(self) -> Proxy:
        assert NGINX is not None
        command = [NGINX, "-c", f"{self._folder}/nginx.conf", "-p", str(self._folder), "-g", "daemon off;"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                assert self._process.poll() is None, (self._folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(30)

    def client(self) -> httpx.Client:
        """A client that does not know the certificate's issuer."""
        return httpx.Client(base_url=self.url, verify=False, timeout=60)

    def served_by(self, path: str) -> set[str]:
        """The servers that the calls of this path went to, as often as nginx sent them."""
        lines = (self._folder / "access.log").read_text().splitlines()
        return {line.partition(" ")[2] for line in lines if line.startswith(path + " ")}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def make_certificate(folder: Path) -> None:
    """A certificate for localhost, signed by itself."""
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, *files], check=True, capture_output=True)


@pytest.fixture
def servers(start: Callable[..., Server]) -> list[Server]:
    return [start(**{"http.xheaders": True}) for _ in range(2)]


@pytest.fixture
def proxy(servers: list[Server], tmp_path: Path) -> Iterator[Proxy]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    with Proxy(folder, servers) as running:
        yield running


def test_an_experiment_stays_at_one_server_until_that_one_dies(proxy: Proxy, servers: list[Server]) -> None:
    servers[0].add_account("ada")
    with Researcher(proxy.client(), "ada") as researcher:
        cookie = researcher.http.post("/login", json={"username": "ada", "password": PASSWORD}).headers["set-cookie"]
        assert "Secure" in cookie  # so the servers know that it was https
        experiments = [researcher.create(**COUNTING) for _ in range(12)]
        for experiment in experiments:
            for _ in range(5):
                assert experiment.get_action().status_code == 200
                assert experiment.set_reward(action={"arm": "a"}, reward={"value": 1}).status_code == 200
        used = [proxy.served_by(f"/getaction/{e.id}") | proxy.served_by(f"/setreward/{e.id}") for e in experiments]
        assert [len(each) for each in used] == [1] * 12
        assert len(set.union(*used)) == 2
        servers[0].kill()
        dead = servers[0].url.removeprefix("http://")
        orphaned = next(e for e, each in zip(experiments, used, strict=True) if each == {dead})
        sent = [orphaned.set_reward(action={"arm": "a"}, reward={"value": 1}, request_id=f"r{n}") for n in range(20)]
        # The first ones find the server dead, and nginx sends no call twice; then the other one takes over.
        assert sent[0].status_code == 502
        assert sent[-1].status_code == 200
        answered = sum(answer.status_code == 200 for answer in sent)
        assert orphaned.summary()["set_reward_calls"] == 5 + answered


def test_plain_http_is_sent_on_to_https(proxy: Proxy) -> None:
    answer = httpx.get(f"http://127.0.0.1:{proxy.plain_port}/ui/sign-in?next=%2Fui", follow_redirects=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://127.0.0.1/ui/sign-in?next=%2Fui"
