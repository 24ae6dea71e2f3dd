"""A small API beside StreamingBandit's: coins that are flipped with a token, errors of its own, a prefix of its own."""

from app.http.dialect import Dialect
from tests.http.toy_dialect.access import TOKENS
from tests.http.toy_dialect.errors import ERRORS
from tests.http.toy_dialect.handlers import ROUTES

DIALECT = Dialect(
    "toy",
    ROUTES,
    prefix="/toy/v1",
    errors=ERRORS,
    authentication=TOKENS,
    request_headers=("Content-Type", "Authorization", "X-Toy-Token"),
)
