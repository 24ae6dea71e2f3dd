"""Accounts, who is signed in, and failed attempts to sign in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from pymongo import errors

from app.domain.user import User
from app.storage.client import UNDECODED, Storage
from app.storage.documents import Document
from app.storage.elections import complete_after_election
from app.storage.outages import translate_outages


class Users(Storage):
    """Accounts by name."""

    @translate_outages
    async def insert(self, user: User, password_hash: bytes) -> bool:
        """Add an account; False if the name is taken."""
        try:
            await self.db.users.insert_one(
                {"_id": user.name, "admin": user.admin, "password": password_hash, "created": datetime.now(UTC)}
            )
        except errors.DuplicateKeyError:
            return False
        return True

    @translate_outages
    @complete_after_election
    async def find(self, name: str) -> User | None:
        """The account of that name."""
        document = await self.db.users.find_one({"_id": name})
        return _user(document) if document else None

    @translate_outages
    async def password_hash(self, name: str) -> bytes | None:
        """What the password is checked against."""
        document = await self.db.users.find_one({"_id": name}, {"password": 1})
        return bytes(document["password"]) if document else None

    @translate_outages
    async def all(self) -> list[User]:
        """Every account, by name."""
        return [_user(document) async for document in self.db.users.find().sort("_id", 1)]

    @translate_outages
    async def any(self) -> bool:
        """Whether there is one."""
        return await self.db.users.find_one({}, {"_id": 1}) is not None

    @translate_outages
    async def set_password(self, name: str, password_hash: bytes) -> bool:
        """Replace the password; False if there is no such account."""
        changed = await self.db.users.update_one({"_id": name}, {"$set": {"password": password_hash}})
        return bool(changed.matched_count)

    @translate_outages
    async def remove(self, name: str) -> bool:
        """Delete the account; False if there is none."""
        removed = await self.db.users.delete_one({"_id": name})
        return bool(removed.deleted_count)


class Sessions(Storage):
    """Who is signed in: the cookie holds a token, the database only its hash."""

    @translate_outages
    async def insert(self, token: str, user: str, lifetime: timedelta) -> None:
        """Remember a sign-in."""
        row = {"_id": _hash(token), "user": user, "expires": datetime.now(UTC) + lifetime}
        await self.db.sessions.insert_one(row)

    @translate_outages
    @complete_after_election
    async def user(self, token: str) -> str | None:
        """Whose the token is, while it lasts."""
        row = await self.db.sessions.find_one({"_id": _hash(token), "expires": {"$gt": datetime.now(UTC)}})
        return row["user"] if row else None

    @translate_outages
    async def remove(self, token: str) -> None:
        """Sign out."""
        await self.db.sessions.delete_one({"_id": _hash(token)})

    @translate_outages
    async def remove_all(self, user: str) -> None:
        """Sign out everywhere."""
        await self.db.sessions.delete_many({"user": user})


class Failures(Storage):
    """Attempts to sign in by who makes them: counted before the password is checked, taken back on success."""

    @translate_outages
    async def count(self, who: str, window: timedelta, limit: int) -> int:
        """Note one more attempt, unless ``limit`` was reached; how many there were within the window before it."""
        now = datetime.now(UTC)
        recent: Document = {"$filter": {"input": {"$ifNull": ["$at", []]}, "cond": {"$gt": ["$$this", now - window]}}}
        noted = {"$cond": [{"$lt": [{"$size": recent}, limit]}, {"$concatArrays": [recent, [now]]}, recent]}
        update = [{"$set": {"before": {"$size": recent}, "at": noted, "expires": now + window}}]
        failures = self.db.failures.with_options(codec_options=UNDECODED)
        while True:
            try:
                row = await failures.find_one_and_update({"_id": who}, update, upsert=True, return_document=True)
            except errors.DuplicateKeyError:  # two first attempts at once: the other's row is there now
                continue
            return int(row["before"]) if row else 0

    @translate_outages
    async def take_back(self, *who: str) -> None:
        """Drop the attempt that was noted last for each of them: it was none that failed."""
        await self.db.failures.update_many({"_id": {"$in": who}}, {"$pop": {"at": 1}})

    @translate_outages
    async def forget(self, who: str) -> None:
        """The right password came."""
        await self.db.failures.delete_one({"_id": who})


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _user(document: Document) -> User:
    return User(name=document["_id"], admin=document["admin"])
