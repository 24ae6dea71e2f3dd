"""Accounts: adding researchers, signing in and out.

Passwords are hashed by bcrypt on a thread of its own, never on the event loop. A name that does not exist costs the
same time as a wrong password, and attempts are counted before the password is looked at, so that a hundred at once
are no way around the limit.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import TypeVar

import bcrypt

from app.domain.user import User
from app.errors import (
    AdminsOnly,
    InvalidParameter,
    NameTaken,
    NotFound,
    NotSignedIn,
    SignInsBusy,
    TooManyFailures,
    WrongPassword,
)
from app.storage.store import Store

SESSION_LIFETIME = timedelta(days=30)
_FAILURES = 10
_FAILURES_PER_ADDRESS = 60
_FAILURES_UNTIL_SLOW = 20
_SLOW_SECONDS = 2.0
# At a quarter of a second each, whoever waits longest waits five seconds.
_MAX_WAITING = 20
_NICENESS = 10
_WINDOW = timedelta(minutes=5)
_NAME = re.compile(r"[\w.@+-]{1,64}")
_MIN_LENGTH = 8
_MAX_LENGTH = 1_000
_BCRYPT_BYTES = 72
T = TypeVar("T")


class Accounts:
    """Users and who of them is signed in; ``rounds`` is bcrypt's cost."""

    def __init__(self, store: Store, rounds: int = 12) -> None:
        self._store = store
        self._rounds = rounds
        self._thread = ThreadPoolExecutor(1, "bcrypt", initializer=_yield_to_others)
        self._waiting = 0
        self._nobody = bcrypt.hashpw(secrets.token_bytes(16).hex().encode(), bcrypt.gensalt(rounds))

    async def add(self, name: str, password: str, *, admin: bool = False) -> User:
        """Add an account; ``InvalidParameter`` or ``NameTaken`` if that cannot be."""
        if not _NAME.fullmatch(name):
            raise InvalidParameter("username", "expected 1 to 64 letters, digits or any of . _ @ + -")
        user = User(name, admin)
        if not await self._store.users.insert(user, await self._hash(_checked(password))):
            raise NameTaken("username", name)
        return user

    async def sign_in(self, name: str, password: str, address: str) -> str:
        """The token of a new session; ``WrongPassword``, ``TooManyFailures`` or ``SignInsBusy``."""
        if not await self._counted(name, password, address):
            raise WrongPassword()
        return await self.begin_session(User(name))

    async def begin_session(self, user: User) -> str:
        """The token of a new session of a user who has just shown who they are."""
        token = secrets.token_urlsafe(32)
        await self._store.sessions.insert(token, user.name, SESSION_LIFETIME)
        return token

    async def signed_in(self, token: str | None) -> User:
        """Whose session the token is; ``NotSignedIn`` if it is nobody's."""
        name = await self._store.sessions.user(token) if token else None
        user = await self._store.users.find(name) if name else None
        if user is None:
            raise NotSignedIn()
        return user

    async def sign_out(self, token: str) -> None:
        """End one session."""
        await self._store.sessions.remove(token)

    async def sign_out_everywhere(self, user: User) -> None:
        """End all sessions of a user."""
        await self._store.sessions.remove_all(user.name)

    async def change_password(self, user: User, password: str, new_password: str, address: str) -> None:
        """Set a new password, given the old one, which is counted as in a sign-in; every session ends."""
        if not await self._counted(user.name, password, address):
            raise InvalidParameter("password", "this is not your current password")
        await self.set_password(user.name, new_password)

    async def set_password(self, name: str, new_password: str) -> None:
        """Set a password as an operator; every session of the user ends."""
        if not await self._store.users.set_password(name, await self._hash(_checked(new_password, "new_password"))):
            raise NotFound(f"there is no user {name!r}")
        await self._store.sessions.remove_all(name)

    async def all(self) -> list[User]:
        """Every account."""
        return await self._store.users.all()

    async def none_yet(self) -> bool:
        """Whether there is no account at all, as on a server that was just set up."""
        return not await self._store.users.any()

    async def remove(self, name: str) -> None:
        """Delete an account and its sessions; its experiments stay."""
        if not await self._store.users.remove(name):
            raise NotFound(f"there is no user {name!r}")
        await self._store.sessions.remove_all(name)

    @staticmethod
    def require_admin(user: User) -> None:
        """``AdminsOnly`` unless the user is one."""
        if not user.admin:
            raise AdminsOnly()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)

    async def _counted(self, name: str, password: str, address: str) -> bool:
        """Whether the password is right; an attempt that fails counts for its name, its address and for both.

        Raises ``TooManyFailures`` where either limit is reached. A name that fails from many addresses is not locked,
        as anybody could then lock anybody out: its attempts only take longer, right or wrong.
        """
        if self._waiting >= _MAX_WAITING:
            raise SignInsBusy()
        hashed = sha256(name.encode("utf-8", "replace")).hexdigest()
        pair, by_address, by_name = f"{hashed}:{address}", f"from:{address}", f"name:{hashed}"
        failures = self._store.failures
        # Those of the pair come first: what they refuse does not count for everybody at the address.
        for who, most in ((pair, _FAILURES), (by_address, _FAILURES_PER_ADDRESS)):
            if await failures.count(who, _WINDOW, most) >= most:
                raise TooManyFailures(_WINDOW.seconds // 60)
        if await failures.count(by_name, _WINDOW, _FAILURES_UNTIL_SLOW) >= _FAILURES_UNTIL_SLOW:
            await asyncio.sleep(_SLOW_SECONDS)
        try:
            right = await self._is_password(name, password)
        except SignInsBusy:
            await failures.take_back(pair, by_address, by_name)
            raise
        if right:
            await failures.forget(pair)
            await failures.take_back(by_address, by_name)
        return right

    async def _is_password(self, name: str, password: str) -> bool:
        stored = await self._store.users.password_hash(name) if "\0" not in name else None
        if len(password) > _MAX_LENGTH:
            password = ""
        right = await self._in_thread(bcrypt.checkpw, _digestible(password), stored or self._nobody)
        return stored is not None and right

    async def _hash(self, password: str) -> bytes:
        return await self._in_thread(bcrypt.hashpw, _digestible(password), bcrypt.gensalt(self._rounds))

    async def _in_thread(self, function: Callable[..., T], *arguments: bytes) -> T:
        if self._waiting >= _MAX_WAITING:
            raise SignInsBusy()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        finally:
            self._waiting -= 1


def _yield_to_others() -> None:
    """Have the kernel prefer every other thread to this one, where priorities are those of threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _checked(password: str, parameter: str = "password") -> str:
    if not _MIN_LENGTH <= len(password) <= _MAX_LENGTH:
        raise InvalidParameter(parameter, f"expected {_MIN_LENGTH} to {_MAX_LENGTH} characters")
    return password


def _digestible(password: str) -> bytes:
    """What bcrypt can take: it reads 72 bytes and no NUL, so anything else is hashed first, not cut."""
    content = password.encode("utf-8", "surrogatepass")
    if len(content) > _BCRYPT_BYTES or b"\0" in content:
        return b64encode(sha256(content).digest())
    return content
