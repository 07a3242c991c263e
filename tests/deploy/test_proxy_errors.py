"""Answers of Ray Serve's proxy itself; its hook needs no Ray."""

import json

import pytest
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.proxy_errors import middleware

ID = {"x-request-id": "mine"}
PROXYS, STOPPING = PlainTextResponse("Unavailable.", 503), PlainTextResponse("Path not found.", 404)


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """As the proxy is when it has lost the replica."""


def wrapped(app: ASGIApp) -> TestClient:
    (hook,) = middleware()
    return TestClient(hook.cls(app, *hook.args, **hook.kwargs))


@pytest.mark.parametrize("app", [silent, PROXYS, STOPPING])
def test_a_request_that_no_replica_answers_is_refused_in_openais_shape(app: ASGIApp) -> None:
    refused = wrapped(app).get("/v1/models", headers=ID)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "replica_unavailable")
    assert (refused.headers["retry-after"], refused.headers["x-request-id"]) == ("1", "mine")


@pytest.mark.parametrize("status", [200, 404, 503])
def test_answers_of_the_app_stay_as_they_are(status: int) -> None:
    answer = wrapped(JSONResponse({"of": "the app"}, status)).get("/", headers=ID)
    assert (answer.status_code, json.loads(answer.content)) == (status, {"of": "the app"})
