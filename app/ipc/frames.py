"""The messages between HTTP processes and the engine process, over a unix socket.

A frame is its length in four bytes and a MessagePack array of messages. Whatever is sent within one turn of the event
loop gathers into one frame: the busier the processes, the more calls share its cost. Each message is encoded once, on
its own, so that one which cannot be encoded harms no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import msgspec

from app import errors
from app.domain.requests import ActionRequest, RewardRequest

# A frame is sent once so much has gathered; nothing longer than the second bound is sent or taken.
_FRAME_BYTES = 2**20
_MAX_BYTES = 64 * 2**20
# A process that leaves so much unread has stopped; whoever writes to it must not fill its own memory.
_UNREAD_BYTES = 256 * 2**20
_log = logging.getLogger("thetaloop")


class IpcMessage(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The base of all messages; ``number`` is the call's, of those on one connection."""

    number: int


class ActionMessage(IpcMessage, tag=0):
    """A getaction."""

    exp_id: str
    request: ActionRequest


class RewardMessage(IpcMessage, tag=1):
    """A setreward."""

    exp_id: str
    request: RewardRequest


class Invoke(IpcMessage, tag=2):
    """Anything else, by its name."""

    name: str
    arguments: list[Any]


class ActionResponse(IpcMessage, tag=0):
    """The answer to ``ActionMessage``; the context is left out where it is the call's own."""

    action: dict[str, Any]
    context: dict[str, Any] | None
    advice_id: str | None
    debug: list[Any]


class RewardResponse(IpcMessage, tag=1):
    """The answer to ``RewardMessage``; context and action are left out where they are the call's own."""

    context: dict[str, Any] | None
    action: dict[str, Any] | None
    duplicate: bool


class InvokeResponse(IpcMessage, tag=2):
    """The answer to ``Invoke``. Number 0 comes unasked: the engine process is ready for calls."""

    value: Any


class ErrorResponse(IpcMessage, tag=3):
    """The error instead of an answer: its class and what it holds; no class if it was an internal error."""

    error: str
    content: dict[str, Any]


encode = msgspec.msgpack.Encoder().encode
calls_in = msgspec.msgpack.Decoder(list[ActionMessage | RewardMessage | Invoke]).decode
answers_in = msgspec.msgpack.Decoder(list[ActionResponse | RewardResponse | InvokeResponse | ErrorResponse]).decode


class TooLong(Exception):
    """A message does not fit into any frame."""


class RemoteEngineError(Exception):
    """The engine process failed in a way that its log tells about."""


def failed(number: int, error: BaseException) -> ErrorResponse:
    """Return the error as it travels."""
    if isinstance(error, errors.ThetaloopError):
        return ErrorResponse(number, type(error).__name__, vars(error))
    _log.error("a call failed", exc_info=error)
    return ErrorResponse(number, "", {})


def revived(message: ErrorResponse) -> Exception:
    """Return the error as it was."""
    kind = getattr(errors, message.error, None) if message.error else None
    if not (isinstance(kind, type) and issubclass(kind, errors.ThetaloopError)):
        return RemoteEngineError("internal error in the engine process; see the server log")
    error = kind.__new__(kind)
    # Not by its own constructor, which writes the sentence: this one is written.
    errors.ThetaloopError.__init__(error, message.content["message"])
    vars(error).update(message.content)
    return error


class Channel(asyncio.Protocol):
    """One end of a connection: ``received`` is called with the content of each frame, ``lost`` once at its end."""

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._arrived = bytearray()
        self._gathered: list[bytes] = []
        self._size = 0

    def send(self, message: bytes) -> None:
        """Send it with the next frame, which is sent in this turn of the event loop."""
        if len(message) > _MAX_BYTES:
            raise TooLong
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._flush)
        elif self._size + len(message) > _FRAME_BYTES:
            self._write()
        self._gathered.append(message)
        self._size += len(message)

    def _flush(self) -> None:
        if self._gathered:
            self._write()

    def _write(self) -> None:
        if self._transport is None:
            return  # once it is there
        if self._transport.get_write_buffer_size() > _UNREAD_BYTES:
            _log.error("a process of the server does not read what is sent to it")
            self._transport.abort()
        if not self._transport.is_closing():
            count = len(self._gathered).to_bytes(4)
            self._transport.write(
                b"".join([(self._size + 5).to_bytes(4), b"\xdd", count, *self._gathered])  # dd: an array
            )
        self._gathered = []
        self._size = 0

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio callback: the connection is open."""
        self._transport = cast(asyncio.Transport, transport)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """asyncio callback: bytes came."""
        self._arrived += data
        start = 0
        while len(self._arrived) - start >= 4:
            end = start + 4 + int.from_bytes(self._arrived[start : start + 4])
            if end - start > _MAX_BYTES + _FRAME_BYTES:
                _log.error("a frame is longer than any may be")
                return self.abort()
            if len(self._arrived) < end:
                break
            frame, start = bytes(memoryview(self._arrived)[start + 4 : end]), end
            try:
                self._received(frame)
            except msgspec.MsgspecError:
                _log.exception("a frame cannot be read")
                return self.abort()
        del self._arrived[:start]

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio callback: the connection is closed."""
        self._lost()
