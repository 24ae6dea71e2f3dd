"""The statuses of StreamingBandit, where they differ from those of the families of errors."""

from __future__ import annotations

from app import errors
from app.http.errors import ErrorTable

# What is not the caller's is answered as if nobody were signed in: its clients go back to their sign-in then.
ERRORS = ErrorTable(
    {
        errors.NotYours: 401,
        errors.ThetaNotThere: 401,
        errors.AdminsOnly: 401,
        errors.NameTaken: 400,
        errors.AdviceExpired: 410,
        errors.EditedMeanwhile: 412,
    }
)
