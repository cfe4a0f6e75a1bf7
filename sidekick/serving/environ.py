"""A request as ASGI tells it becomes the `environ` that Django's WSGI application reads."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from django.utils import timezone

Environ = dict[str, Any]
Scope = dict[str, Any]

# The key of the environ under which the time stands when the head of a request was there; its body may take minutes.
ARRIVED = "sidekick.arrived"
PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def environ_of(scope: Scope) -> Environ:
    """Returns the environ of an HTTP request, without `wsgi.input`."""
    host, port = scope.get("server") or ("localhost", 80)
    environ: Environ = {
        # Django takes `post` for POST.
        "REQUEST_METHOD": scope["method"].upper(),
        "SCRIPT_NAME": "",
        # WSGI wants the bytes of the path, one character each.
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        ARRIVED: timezone.now(),
    }
    for raw_name, raw_value in scope["headers"]:
        header, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        # Django could not tell it from the header with a hyphen, which a proxy may have set or taken away.
        if "_" in header:
            continue
        key = PLAIN.get(header) or f"HTTP_{header.upper().replace('-', '_')}"
        between = "; " if header == "cookie" else ","
        environ[key] = f"{environ[key]}{between}{value}" if key in environ else value
    return environ
