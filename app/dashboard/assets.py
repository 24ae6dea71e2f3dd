"""What pages load: our style sheet, scripts, icon and names of the library, and Monaco out of the package ``rocher``.

Files are named one by one, so a path in a request never becomes a path on the disk. They are read, hashed and
compressed once, on a thread, when the first page is asked for: compressing megabytes on the event loop at every
request would hold up every call. The version in their URLs is a hash of them all, the same on every server and process
that has the same files, so a browser may keep them for ever.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tornado.web import HTTPError

from app.dashboard.library import library
from app.errors import ConfigurationError
from app.http.base import Handler

_OURS = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".json": "application/json; charset=UTF-8",
    ".svg": "image/svg+xml",
}
# The editor and what colours Python and JSON. The other languages, above all TypeScript with its 7 MB, stay out.
_MONACO = (
    "loader.js",
    "nls.messages-loader.js",
    "editor/editor.main.js",
    "editor/editor.main.css",
    "basic-languages/monaco.contribution.js",
    "editor.api-CalNCsUg.js",
    "monaco.contribution-D2OdxNBt.js",
    "monaco.contribution-DO3azKX8.js",
    "monaco.contribution-EcChJV6a.js",
    "monaco.contribution-qLAYrEOP.js",
    "workers-DcJshg-q.js",
    "python-Cr0UkIbn.js",
    "jsonMode-DULH5oaX.js",
    "lspLanguageFeatures-kM9O9rjY.js",
    "assets/editor.worker-Be8ye1pW.js",
    "assets/json.worker-DKiEKt88.js",
)
_SMALLER = 0.95


@dataclass(frozen=True)
class Asset:
    """A file as it is sent; ``packed`` is empty where compressing it gains nothing."""

    content_type: str
    etag: str
    plain: bytes
    packed: bytes


@dataclass(frozen=True)
class Collection:
    """All files by their path below ``/ui/assets/VERSION/``; ``version`` is a hash of them all."""

    version: str
    files: dict[str, Asset]


class Assets:
    """The files, read and compressed when they are first wanted."""

    def __init__(self) -> None:
        self.paths = _paths()
        self._reading: asyncio.Task[Collection] | None = None

    async def collection(self) -> Collection:
        """All of them."""
        if self._reading is None or (self._reading.done() and self._reading.exception()):
            self._reading = asyncio.create_task(asyncio.to_thread(_read, self.paths))
        return await asyncio.shield(self._reading)


def _paths() -> dict[str, Path]:
    ours = {path.name: path for path in sorted(_OURS.iterdir()) if path.suffix in _TYPES}
    monaco = _folder("rocher") / "vs"
    return ours | {f"vs/{name}": monaco / name for name in _MONACO}


def _folder(package: str) -> Path:
    """Where a package lies; it is not imported, as only its files are wanted."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(f"the package {package!r}, which pages need, is not installed")
    return Path(spec.submodule_search_locations[0])


def _read(paths: dict[str, Path]) -> Collection:
    files = {name: _asset(path.read_bytes(), path.suffix) for name, path in paths.items()}
    files["library.json"] = _asset(json.dumps(library()).encode(), ".json")
    version = sha256("".join(asset.etag for asset in files.values()).encode()).hexdigest()[:12]
    return Collection(version, files)


def _asset(plain: bytes, suffix: str) -> Asset:
    packed = gzip.compress(plain, 6, mtime=0)
    return Asset(
        content_type=_TYPES[suffix],
        etag=sha256(plain).hexdigest()[:32],
        plain=plain,
        packed=packed if len(packed) < _SMALLER * len(plain) else b"",
    )


class AssetHandler(Handler):
    """``/ui/assets/VERSION/PATH``."""

    content_type = "text/html; charset=UTF-8"

    async def get(self, version: str, path: str) -> None:
        """The file; kept for ever under its own version, asked for again under another server's."""
        assets: Assets = self.settings["assets"]
        collection = await assets.collection()
        asset = collection.files.get(path)
        if asset is None:
            raise HTTPError(404)
        current = version == collection.version
        self.set_header("Cache-Control", "public, max-age=31536000, immutable" if current else "no-cache")
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("Content-Type", asset.content_type)
        packed = bool(asset.packed) and _accepts_gzip(self.request.headers.get("Accept-Encoding", ""))
        self.set_header("Etag", f'"{asset.etag}{"-gzip" if packed else ""}"')
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        if packed:
            self.set_header("Content-Encoding", "gzip")
        self.finish(asset.packed if packed else asset.plain)

    head = get


def _accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding allows gzip.

    >>> _accepts_gzip("deflate, gzip;q=0.8"), _accepts_gzip("gzip;q=0"), _accepts_gzip("")
    (True, False, False)
    """
    for part in header.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
