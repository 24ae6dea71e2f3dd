"""What all servers of one database must agree on."""

from __future__ import annotations

from pymongo import errors

from app.storage.client import Storage
from app.storage.outages import translate_outages


class SharedSettings(Storage):
    """Values by name, written once."""

    @translate_outages
    async def agree(self, name: str, value: str) -> bool:
        """Store the value if there is none yet; whether the stored one is this one."""
        try:
            await self.db.settings.insert_one({"_id": name, "value": value})
        except errors.DuplicateKeyError:
            stored = await self.db.settings.find_one({"_id": name})
            return bool(stored and stored["value"] == value)
        return True
