"""/docs and /redoc. All their files come from a package, so the pages need no other host and may not call one."""

from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

FILES = "/docs/files"
ICON = f"{FILES}/favicon.png"
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src blob:; frame-ancestors 'none'"
)
"""The Content-Security-Policy of both pages. It also blocks the logo that ReDoc loads from its vendor."""


def install(app: FastAPI) -> None:
    """Serve both pages in place of those of FastAPI, which load files from a content delivery network."""

    async def swagger() -> HTMLResponse:
        page = get_swagger_ui_html(
            openapi_url=app.openapi_url or "",
            title=app.title,
            swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{FILES}/swagger-ui.css",
            swagger_favicon_url=ICON,
            swagger_ui_parameters={"validatorUrl": None},
        )
        return _with_policy(page)

    async def redoc() -> HTMLResponse:
        page = get_redoc_html(
            openapi_url=app.openapi_url or "",
            title=app.title,
            redoc_js_url=f"{FILES}/redoc.standalone.js",
            redoc_favicon_url=ICON,
            with_google_fonts=False,
        )
        return _with_policy(page)

    app.add_api_route("/docs", swagger, include_in_schema=False)
    app.add_api_route("/redoc", redoc, include_in_schema=False)
    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]))


def _with_policy(page: HTMLResponse) -> HTMLResponse:
    page.headers["Content-Security-Policy"] = POLICY
    return page
