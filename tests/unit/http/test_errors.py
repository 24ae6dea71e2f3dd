"""Families of errors, tables of statuses, shapes of answers."""

from __future__ import annotations

import ast
import inspect
import logging
import re
from datetime import UTC, datetime
from http.client import responses

import pytest
from tornado.web import HTTPError

from app import errors
from app.dialects.streamingbandit.errors import ERRORS
from app.http.errors import FAMILIES, ErrorAnswer, ErrorTable, MethodNotAllowed, Problem, log_failure

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ThetaloopError) and kind is not errors.ThetaloopError
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_belongs_to_one_family(kind: type[errors.ThetaloopError]) -> None:
    families = [family for family in (*FAMILIES, errors.StartupError) if issubclass(kind, family)]
    assert len(families) == 1


def test_no_sentence_of_an_error_names_an_api() -> None:
    strings = [node.value for node in ast.walk(ast.parse(inspect.getsource(errors))) if isinstance(node, ast.Constant)]
    sentences = [text for text in strings if isinstance(text, str) and " " in text]
    assert len(sentences) > 50
    assert [s for s in sentences if re.search(r"(GET|POST|PUT) /|/login|X-|\w_(id|key|value)\b|^\w+: ", s)] == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidParameter("x", "is missing"), 400),
        (errors.NameTaken("name", "x"), 400),
        (errors.KeyRefused(), 401),
        (errors.NotSignedIn(), 401),
        (errors.NotYours("x"), 401),
        (errors.ThetaNotThere("x", None), 401),
        (errors.WrongPassword(), 401),
        (errors.AdminsOnly(), 401),
        (errors.ForeignOrigin("x"), 403),
        (errors.NotFound("x"), 404),
        (errors.AdviceUnknown("x"), 404),
        (errors.RewardRefused(), 409),
        (errors.RequestIdReused("x", "action", datetime.now(UTC)), 409),
        (errors.CannotCommit(), 409),
        (errors.AdviceExpired("x"), 410),
        (errors.EditedMeanwhile(3), 412),
        (errors.TooManyFailures(5), 429),
        (errors.ScriptFailed("get_action", "x"), 500),
        (errors.Overloaded(), 503),
        (errors.OutcomeUnknown(), 503),
        (errors.SandboxUnavailable("x"), 503),
        (errors.ConfigurationError("x"), 500),
        (RuntimeError("x"), 500),
        (HTTPError(405), 405),
    ],
    ids=lambda value: type(value).__name__,
)
def test_streamingbandits_statuses(error: Exception, status: int) -> None:
    assert ERRORS.status(error) == status


def test_the_nearest_class_of_the_api_counts_before_the_common_table() -> None:
    table = ErrorTable({errors.NotFound: 410, errors.AdviceUnknown: 400})
    assert table.status(errors.AdviceUnknown("x")) == 400
    assert table.status(errors.NotYours("x")) == 410
    assert table.status(errors.Overloaded()) == 503


def test_the_plain_shape() -> None:
    answer = ErrorTable().answer(errors.InvalidParameter("x", "is missing"))
    assert answer.body == {"error": {"code": 400, "message": "x: is missing", "detail": {"parameter": "x"}}}
    assert ErrorTable().answer(None, 404).body["error"]["message"] == responses[404]
    assert ErrorTable().answer(HTTPError(404, "no such page")).body["error"]["message"] == "no such page"


@pytest.mark.parametrize(
    "error", [RuntimeError("a secret"), errors.ConfigurationError("a secret"), HTTPError(500, "a secret")]
)
def test_faults_of_the_server_tell_nothing(error: Exception) -> None:
    answer = ErrorTable().answer(error)
    assert answer.status == 500
    assert answer.body["error"] == {"code": 500, "message": "internal error; see the server log", "detail": {}}


def test_usual_headers_stand_beside_those_of_the_shape() -> None:
    def shape(problem: Problem) -> ErrorAnswer:
        return ErrorAnswer(problem.status, problem.headers["Name"], {"X-Error": "x"})

    table = ErrorTable(shape=shape)
    answer = table.answer(errors.Overloaded(), headers={"Name": "given"})
    assert (answer.body, answer.headers) == ("given", {"Retry-After": "1", "X-Error": "x"})
    assert table.answer(MethodNotAllowed("GET, POST"), headers={"Name": ""}).headers["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (errors.NotYours("x"), None),
        (errors.ScriptFailed("get_action", "x"), None),
        (HTTPError(404), None),
        (errors.StoreUnavailable(), logging.WARNING),
        (errors.ConfigurationError("x"), logging.ERROR),
        (RuntimeError("x"), logging.ERROR),
    ],
    ids=lambda value: type(value).__name__,
)
def test_faults_and_outages_are_logged(error: Exception, level: int | None, caplog: pytest.LogCaptureFixture) -> None:
    log_failure("GET", "/x", error)
    assert [record.levelno for record in caplog.records] == ([] if level is None else [level])
