"""Map every error to problem details (RFC 9457)."""

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
from db.errors import ConflictError, ForbiddenError, NotFoundError, UnavailableError
from model.ports import ArtifactError
from model.problems import InvalidError, Problem, dotted

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_OUTAGE = "5"
_NOT_ALLOWED = 405
_log = logging.getLogger(__name__)


class ProblemOut(Out):
    """One problem of a request, and its path."""

    path: str = Field(description="Dotted path, list positions in brackets; empty for the whole body")
    message: str


class ProblemDetails(Out):
    """Why a request was refused. Only a 400 has `problems`, and it lists all of them."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: list[ProblemOut] | None = None


class Refusal(HTTPException):
    """A request that the API refuses before any use case is called."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status.value, detail, headers)


def problem(
    status: int, detail: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Build a response with problem details."""
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
    """Respond to every error of the lower packages, and to those of FastAPI, with problem details."""
    app.add_exception_handler(InvalidError, _invalid)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(NotFoundError, _not_found)
    app.add_exception_handler(ArtifactError, _not_found)
    app.add_exception_handler(ConflictError, _conflict)
    app.add_exception_handler(ForbiddenError, _forbidden)
    app.add_exception_handler(UnavailableError, _unavailable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    problems = error.problems if isinstance(error, InvalidError) else ()
    count = len(problems)
    return problem(400, f"the request has {count} problem{'' if count == 1 else 's'}", problems)


def _forbidden(_: Request, error: Exception) -> JSONResponse:
    return problem(403, str(error))


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
    """Return all methods of a path. Starlette would return only those of the first route with this path."""
    routes: list[BaseRoute] = request.app.routes
    scopes = {method.value: {**request.scope, "method": method.value} for method in HTTPMethod}
    methods = [name for name, scope in scopes.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "an internal error of Assay; the log of the API process has the details")
