"""Secrets that nobody should have to invent: made on first use, kept in the data folder, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def kept_secret(folder: Path, name: str, length: int = 32) -> str:
    """The secret in ``folder/name``, made if it is not there; two processes that ask at once get the same."""
    path = folder / name
    while True:
        try:
            return path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            _create(path, secrets.token_urlsafe(length))


def _create(path: Path, content: str) -> None:
    # Written whole under another name first: nobody can read half of it, and a kill leaves no empty secret.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
