"""The endpoint for Paddle's events: `POST /webhooks/paddle` (P1).

Paddle takes any 2xx within five seconds for delivered and tries everything else again for three days. So an event
that can't be applied is answered with 200 as well, once it is stored: from then on trying is our worker's business.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from billing.paddle import inbox, signature
from billing.paddle.schemas import MalformedData
from billing.paddle.signature import SignatureRefused
from sidekick import metrics
from sidekick.api.problems import problem_response
from sidekick.serving.bodies import takes_body

MAX_BODY = 256 * 1024

logger = logging.getLogger(__name__)


@csrf_exempt
@takes_body(most=MAX_BODY, header="Paddle-Signature")
def paddle(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        response = _refuse(405, "method_not_allowed", "Events are sent here by POST.")
        response.headers["Allow"] = "POST"
        return response
    header = request.headers.get("Paddle-Signature", "")
    try:
        # Before the body: a stranger's is not read.
        signature.parts(header)
        body = request.read(MAX_BODY + 1)
    except SignatureRefused as refused:
        return _refuse(401, refused.code, str(refused))
    except UnreadablePostError:
        return _refuse(400, "malformed", "The body broke off.")
    if len(body) > MAX_BODY:
        return _refuse(413, "too_large", f"The body is larger than {MAX_BODY:,} bytes.")
    return _receive(header, body)


def _receive(header: str, body: bytes) -> HttpResponse:
    now = timezone.now()
    try:
        signature.check(
            header, body, secrets=settings.PADDLE_WEBHOOK_SECRETS, now=now, max_age=settings.PADDLE_WEBHOOK_MAX_AGE
        )
        event, new = inbox.receive(body, now=now)
    except SignatureRefused as refused:
        return _refuse(401, refused.code, str(refused))
    except MalformedData as error:
        return _refuse(400, "malformed", str(error))
    metrics.webhooks.labels(event.state if new else "duplicate").inc()
    return JsonResponse({"event_id": event.event_id, "state": event.state, "duplicate": not new})


def _refuse(status: int, code: str, detail: str) -> HttpResponse:
    logger.warning("paddle webhook refused: %s", code)
    metrics.webhooks.labels(f"refused_{code}").inc()
    return problem_response(status, code, detail)
