"""The API of StreamingBandit: its clients and its policy scripts work here unchanged."""

from app.dialects.streamingbandit.errors import ERRORS
from app.dialects.streamingbandit.routes import ROUTES
from app.http.dialect import Dialect

DIALECT = Dialect(
    "streamingbandit",
    ROUTES,
    errors=ERRORS,
    methods=("GET", "POST", "PUT", "DELETE"),
    request_headers=("Content-Type", "Idempotency-Key", "If-Match"),
)
