"""Types of command-line arguments: each turns text into a value or says what is expected."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return Path(text)


def between(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least:,} to {most:,}")
        return int(text)

    return number


def called(text: str) -> tuple[str, str]:
    exp_id, _, other = text.partition("=")
    if not exp_id or not other:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not an id, an equals sign, and a folder or ready-made experiment"
        )
    return exp_id, other


def picture(text: str) -> Path:
    if Path(text).suffix not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"{text!r} does not end in .png or .svg")
    return Path(text)


def port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)
