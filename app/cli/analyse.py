"""``thetaloop analyse``: the analyses of a log in a file, without a server."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from app.analysis.arrays import to_json
from app.analysis.documents import audit_document, checks_document, inference_document, offpolicy_document
from app.analysis.rows import JoinedRow, rows_of
from app.config import Config
from app.errors import InvalidParameter

KINDS: Mapping[str, Callable[[list[JoinedRow], Mapping[str, Any]], Any]] = {
    "offpolicy": offpolicy_document,
    "audit": audit_document,
    "inference": inference_document,
    "checks": checks_document,
}


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    summary = "analyse a log in a file: off-policy estimates, inference, checks, an audit of its propensities"
    sub = commands.add_parser("analyse", help=summary, description=summary, parents=[common])
    sub.add_argument("kind", choices=list(KINDS), help="which analysis")
    sub.add_argument("log", type=Path, metavar="LOG.jsonl", help="one decision a line, in the order of the decisions")
    sub.add_argument("--options", type=_json_object, metavar="JSON", help="the body of the call, docs/analysis.rst")
    sub.set_defaults(command=_run)


def _json_object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON: {error}") from error


def _run(config: Config, options: argparse.Namespace) -> None:
    """Print the answer as JSON; a log that cannot be read is an error with its line."""
    try:
        found = analyse(options.kind, options.log, options.options)
    except OSError as error:
        raise InvalidParameter(str(options.log), f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        parameter, _, expected = str(error).partition(": ")
        raise InvalidParameter(parameter, expected or "is not as expected") from error
    print(json.dumps(found, indent=2))


def analyse(kind: str, path: str | Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the API would answer for the rows of a JSON lines file.

    Parameters
    ----------
    kind
        ``offpolicy``, ``audit``, ``inference`` or ``checks``.
    path
        A file with a row per line: ``{context, action, propensity, pmf?, reward|null, default?, date?}``.
    options
        The body of the call, see ``docs/analysis.rst``.

    Raises
    ------
    ValueError
        for an unknown kind or option, or a row that cannot be read; it names it.
    OSError
        where the file cannot be read.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} must be one of {', '.join(KINDS)}")
    if options is not None and not isinstance(options, Mapping):
        raise ValueError("options: must be an object")
    found: dict[str, Any] = to_json(KINDS[kind](rows_of(_documents(Path(path))), options or {}))
    return found


def _documents(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ValueError(f"line {number}: is not JSON: {error}") from None
