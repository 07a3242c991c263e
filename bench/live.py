"""How soon speech begins while its text is still being written, over WS /v1/audio/speech/stream.

    python -m bench.live [--url http://127.0.0.1:8000] [--sessions 1] [--utterances 8]

Starts `python app.py` if no URL is given. Each client sends a text word by word, as a language model does. It
measures the time from the end of the first clause to the first sound, and how long a player that starts at
the first sound has to wait for more. Ends in one line of JSON.
"""

import argparse
import asyncio
import json
import statistics
import time
from contextlib import nullcontext
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from bench.answer import Answer
from bench.serve import BYTES_PER_SECOND, server

WORD_SECONDS = 0.04  # between the words of a quick language model
TEXT = (
    "When the rain had ended, we went out again to look for the dog. The street was bright and quiet, and"
    " nobody had seen it. So we walked down to the river, where it likes to swim."
)


async def utterance(socket: ClientConnection) -> Answer:
    """Send the text and hear it to its end."""
    answer, clause_ended = Answer(), asyncio.get_running_loop().create_future()

    async def write() -> None:
        for word in TEXT.split():
            await socket.send(json.dumps({"type": "input.text", "text": word + " "}))
            if word.endswith(",") and not clause_ended.done():
                clause_ended.set_result(time.perf_counter())
            await asyncio.sleep(WORD_SECONDS)
        await socket.send(json.dumps({"type": "input.done"}))

    writing = asyncio.ensure_future(write())
    async for message in socket:
        if isinstance(message, bytes):
            answer.hear(time.perf_counter() - clause_ended.result(), len(message) / BYTES_PER_SECOND)
        elif json.loads(message)["type"] == "session.done":
            break
    await writing
    return answer


async def session(url: str, utterances: int) -> list[Answer]:
    config: dict[str, Any] = {"type": "session.config", "response_format": "pcm", "stream_audio": True}
    async with connect(url.replace("http", "ws") + "/v1/audio/speech/stream", max_size=None) as socket:
        await socket.send(json.dumps(config))
        return [await utterance(socket) for _ in range(utterances + 1)][1:]  # the first warms up


async def measure(url: str, sessions: int, utterances: int) -> dict[str, float]:
    found = await asyncio.gather(*(session(url, utterances) for _ in range(sessions)))
    answers = [answer for each in found for answer in each]
    first = sorted(answer.first for answer in answers)
    return {
        "sessions": sessions,
        "utterances": len(answers),
        "first_sound_median": round(statistics.median(first), 3),
        "first_sound_worst": round(first[-1], 3),
        "starved_worst": round(max(answer.starved for answer in answers), 3),
        "speech_seconds": round(statistics.mean(answer.speech for answer in answers), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to the first sound of a text that is being written.")
    parser.add_argument("--url", help="a running server")
    parser.add_argument("--sessions", type=int, default=1, help="clients at once")
    parser.add_argument("--utterances", type=int, default=8, help="texts of each")
    arguments = parser.parse_args()
    with nullcontext(arguments.url) if arguments.url else server() as url:
        print(json.dumps(asyncio.run(measure(url, arguments.sessions, arguments.utterances))))


if __name__ == "__main__":
    main()
