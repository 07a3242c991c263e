"""A crowd of clients that costs next to nothing itself, so that a benchmark measures the server.

    python -m bench.crowd URL CLIENTS SECONDS WAIT

Each client clones its own recording of 20 s with a text of 2,000 characters, hangs up after 8 s, and asks
again: after as long as the answer says, or at once where WAIT is 0. The requests are made beforehand, and one
thread at a low priority sends them all. A line of JSON comes last: how often each status was answered.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import numpy as np

from bench.clients import RATE, RECORDING, clone, prose, request_bytes, wav

PATIENCE = 8.0
NICENESS = 10


RETRY_AFTER = re.compile(rb"\r\nretry-after: (\d+)\r\n")


async def client(
    host: str, port: int, request: bytes, until: float, waits: bool, statuses: Counter[str]
) -> None:
    while time.monotonic() < until:
        try:
            async with asyncio.timeout(PATIENCE):
                status, seconds = await answer(host, port, request)
        except TimeoutError:
            status, seconds = "left", 0.0
        except OSError as error:
            status, seconds = type(error).__name__, 0.05
        statuses[status] += 1
        await asyncio.sleep(seconds if waits else 0)


async def answer(host: str, port: int, request: bytes) -> tuple[str, float]:
    """The status of an answer that is read to its end, and the seconds that it asks to wait."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        told = RETRY_AFTER.search(head)
        return head.split(b" ", 2)[1].decode(), float(told[1]) if told else 0.0
    except asyncio.IncompleteReadError:
        return "broken off", 0.05
    finally:
        writer.close()


async def crowd(url: str, clients: int, seconds: float, waits: bool) -> Counter[str]:
    address, statuses = urlsplit(url), Counter[str]()
    requests = []
    for number in range(clients):
        recording = wav(np.roll(np.tile(RECORDING, 3), 997 * number)[: 20 * RATE])
        requests.append(request_bytes("/v1/chat/completions", clone(prose(2_000), recording)))
    until = time.monotonic() + seconds
    host, port = str(address.hostname), int(address.port or 80)
    await asyncio.gather(*(client(host, port, request, until, waits, statuses) for request in requests))
    return statuses


if __name__ == "__main__":
    os.nice(NICENESS)
    url, clients, seconds, wait = sys.argv[1:]
    print(json.dumps(asyncio.run(crowd(url, int(clients), float(seconds), wait != "0"))))
