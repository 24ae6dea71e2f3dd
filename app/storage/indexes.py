"""The indexes: every query that a call makes has one."""

from __future__ import annotations

from pymongo import ASCENDING as UP
from pymongo import DESCENDING as DOWN
from pymongo import IndexModel, errors
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.collation import Collation

from app.storage.documents import Document
from app.storage.thetas import THERE

_EXISTS = 48
# "apple" before "Banana", "Price 9" before "Price 10". For sorting only: it takes some names for equal that differ.
ALPHABETICAL = Collation(locale="en", strength=3, numericOrdering=True)

INDEXES: dict[str, list[IndexModel]] = {
    "experiments": [
        IndexModel([("owner", UP), ("name", UP)], unique=True),
        IndexModel([("owner", UP), ("name", UP), ("_id", UP)], name="alphabetical", collation=ALPHABETICAL),
    ],
    "revisions": [IndexModel([("exp_id", UP), ("revision", DOWN)], unique=True)],
    "theta": [
        IndexModel(
            [("exp_id", UP), ("epoch", UP), ("name", UP), ("key", UP), ("value", UP)],
            name="there",
            partialFilterExpression={"theta": THERE},
        ),
        IndexModel([("exp_id", UP), ("epoch", UP), ("seq", UP)]),
    ],
    "decisions": [
        IndexModel([("exp_id", UP), ("date", DOWN), ("_id", DOWN)]),
        IndexModel([("expires_at", UP)], partialFilterExpression={"status": "pending"}),
    ],
    "rewards": [IndexModel([("exp_id", UP), ("seq", DOWN)], unique=True)],
    "events": [IndexModel([("exp_id", UP), ("seq", DOWN)], unique=True)],
    "logs": [IndexModel([("exp_id", UP), ("date", DOWN), ("_id", DOWN)])],
    "errors": [IndexModel([("exp_id", UP), ("date", DOWN), ("_id", DOWN)])],
    "sessions": [IndexModel([("user", UP)]), IndexModel([("expires", UP)], expireAfterSeconds=0)],
    "theta_snapshots": [IndexModel([("exp_id", UP), ("name", UP), ("hour", DOWN), ("key", UP), ("value", UP)])],
    "simulations": [
        IndexModel([("exp_id", UP), ("date", DOWN), ("_id", DOWN)]),
        IndexModel([("exp_id", UP), ("logged", UP), ("date", DOWN), ("_id", DOWN)]),
    ],
    "simulation_chunks": [IndexModel([("run", UP), ("kind", UP), ("number", UP)]), IndexModel([("exp_id", UP)])],
    "files": [
        IndexModel([("state", UP), ("expires", UP)]),
        IndexModel([("state", UP), ("alive", UP)]),
        IndexModel([("exp_id", UP)]),
    ],
    "archive": [IndexModel([("exp_id", UP)])],
    "heads": [IndexModel([("state", UP)]), IndexModel([("reset", UP)], sparse=True)],
    "counters": [],
    "leases": [],
    "users": [],
    "settings": [],
    "requests": [IndexModel([("expires", UP)], expireAfterSeconds=0), IndexModel([("exp_id", UP)])],
    "failures": [IndexModel([("expires", UP)], expireAfterSeconds=0)],
}


async def ensure_indexes(database: AsyncDatabase[Document]) -> None:
    """Create the collections and indexes that are missing; safe to run on every server at every start."""
    there = set(await database.list_collection_names())
    for collection, models in INDEXES.items():
        if models:
            await database[collection].create_indexes(models)
        elif collection not in there:
            # Before the first transaction needs it: creating it inside one makes concurrent ones conflict.
            await _create(database, collection)


async def _create(database: AsyncDatabase[Document], collection: str) -> None:
    try:
        await database.create_collection(collection)
    except errors.CollectionInvalid:
        pass
    except errors.OperationFailure as error:
        if error.code != _EXISTS:
            raise
