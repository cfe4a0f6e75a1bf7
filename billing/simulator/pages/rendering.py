"""The responses of pages: rendered templates, redirects, and the headers that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

from django.template import Context, Engine

from billing.simulator.http import Request, Response
from billing.simulator.schemas.times import parse

FOLDER = Path(__file__).parent / "templates"
ENGINE = Engine(dirs=[str(FOLDER)], autoescape=True)
STYLE = (FOLDER / "style.css").read_bytes()
# A form may be answered with a way back to the dashboard, which browsers count as a target of the form.
DASHBOARD = "http://localhost:* http://127.0.0.1:*"
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
    f"frame-ancestors 'none'; form-action 'self' {DASHBOARD}",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def render(template: str, context: Mapping[str, object], *, status: int = 200) -> Response:
    page = ENGINE.get_template(template).render(Context(dict(context), use_l10n=False, use_tz=False))
    return Response(status, page.encode(), headers=HEADERS)


def redirect(url: str) -> Response:
    return Response(303, headers={"Location": url, "Cache-Control": "no-store"})


def style_sheet() -> Response:
    return Response(200, STYLE, "text/css; charset=utf-8", {"Cache-Control": "no-cache"})


def form_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))


def day(moment: str) -> str:
    return f"{parse(moment):%d %b %Y}".lstrip("0")
