"""Every refusal as problem details (RFC 9457): the one table from errors to answers."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPMethod, HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from api.schemas import Out
from db.errors import ConflictError, NotFoundError, UnavailableError
from model.ports import ArtifactError
from model.problems import InvalidError, Problem, dotted

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_OUTAGE = "5"
_NOT_ALLOWED = 405
_log = logging.getLogger(__name__)


class ProblemOut(Out):
    """One thing to mend, and where."""

    path: str = Field(description="Dotted, list positions in brackets; empty for the whole body")
    message: str


class ProblemDetails(Out):
    """Why a request was refused. `problems` is there for 400 only, and then it lists all of them."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: list[ProblemOut] | None = None


class Refusal(HTTPException):
    """A request that is refused by the HTTP edge itself."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status.value, detail, headers)


def problem(
    status: int, detail: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Build a problem answer."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if problems:
        body["problems"] = [{"path": p.path, "message": p.message} for p in problems]
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Answer every error of the rooms below, and FastAPI's own, as problem details."""
    app.add_exception_handler(InvalidError, _invalid)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(ArtifactError, _not_found)
    app.add_exception_handler(ConflictError, _conflict)
    app.add_exception_handler(UnavailableError, _unavailable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = error.problems if isinstance(error, InvalidError) else ()
    count = len(problems)
    return problem(400, f"the request has {count} problem{'' if count == 1 else 's'}", problems)


def _unreadable(request: Request, error: Exception) -> JSONResponse:
    details = error.errors() if isinstance(error, RequestValidationError) else ()
    return _invalid(request, InvalidError(Problem(path=dotted(tuple(d["loc"])), message=d["msg"]) for d in details))


def _not_found(_: Request, error: Exception) -> JSONResponse:
    return problem(404, str(error))


def _conflict(_: Request, error: Exception) -> JSONResponse:
    return problem(409, str(error))


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return problem(503, str(error), headers={"Retry-After": RETRY_AFTER_OUTAGE})


def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    headers = {**(error.headers or {}), **_allow(request)} if error.status_code == _NOT_ALLOWED else error.headers
    return problem(error.status_code, error.detail, headers=headers)


def _allow(request: Request) -> dict[str, str]:
    """Return all methods that a path has: by itself a router names those of the first route that has the path."""
    routes: list[BaseRoute] = request.app.routes
    asked = {method.value: {**request.scope, "method": method.value} for method in HTTPMethod}
    methods = [name for name, scope in asked.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "an error of Assay itself; its log of the API process says more")
