"""The end of the replicas by SIGTERM; the last file of this folder, since none of them is left after it."""

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.deploy.asking import FRAME_BYTES, LONG, TEXT, speak, speaking, wait_for
from tests.deploy.fleet import Fleet


def test_answers_under_way_are_finished_and_new_requests_refused(replicas: Fleet) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(speak, replicas, TEXT, **LONG) for _ in range(2)]
        wait_for(lambda: speaking(replicas) == 2)
        replicas.process.send_signal(signal.SIGTERM)
        refused: list[httpx.Response] = []
        while not refused and not all(answer.done() for answer in answers):
            refused = [late for late in [speak(replicas, "Late.", max_tokens=20)] if late.status_code != 200]
        whole = [len(answer.result().content) for answer in answers]
    assert whole == [(LONG["max_tokens"] - 8) * FRAME_BYTES] * 2
    assert [(late.status_code, late.json()["error"]["code"]) for late in refused] == [
        (503, "replica_unavailable")
    ]
    assert replicas.process.wait(timeout=120) == 0
