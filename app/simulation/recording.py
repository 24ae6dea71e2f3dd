"""The draws of simulations as rows: their fields, and files of JSON lines to which several repetitions write."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from app.errors import ConfigurationError

DRAW_FIELDS = ("context", "action", "reward", "theta")
_encode = msgspec.json.Encoder().encode


def named(draw: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a draw as a row: context, action, reward and the theta after it."""
    return dict(zip(DRAW_FIELDS, draw, strict=True))


class DrawFile:
    """A file of one line per draw; each repetition writes a part of its own, and ``join`` puts them in order."""

    def __init__(self, path: Path, repeat: int) -> None:
        self._path = path
        self._repeat = repeat

    @contextmanager
    def part(self, number: int) -> Iterator[DrawPart]:
        """Open the part of one repetition; it is removed if the repetition fails.

        Raises ``ConfigurationError`` if it cannot be written.
        """
        path = self._part(number)
        try:
            with path.open("wb") as file:
                yield DrawPart(file, number)
        except OSError as error:
            raise ConfigurationError(f"--out: {path} cannot be written: {error.strerror}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def join(self) -> None:
        """Put the parts into one file, in the order of the repetitions, and remove them."""
        with self._path.open("wb") as whole:
            for path in map(self._part, range(self._repeat)):
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole)
                path.unlink()

    def _part(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}.part")


class DrawPart:
    """The draws of one repetition on their way into a file."""

    def __init__(self, file: BinaryIO, number: int) -> None:
        self._file = file
        self._number = number
        self._draws = 0

    def write(self, draws: list[list[dict[str, Any]]]) -> None:
        """Write the next draws."""
        for draw in draws:
            row = {"repetition": self._number, "draw": self._draws, **named(draw)}
            self._file.write(_encode(row) + b"\n")
            self._draws += 1
