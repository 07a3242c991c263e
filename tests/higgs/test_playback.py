"""Frames joined to pieces: small while the player would run dry, growing where it would not."""

from collections.abc import Iterator

import torch
from hypothesis import given
from hypothesis import strategies as st

from audio.frames import FRAME_RATE
from bench.answer import Answer
from higgs.playback import MAX_CHUNK, Playback

FIRST, AT_ONCE = 8, 4


class Clock:
    """Time that passes as frames are made."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def made(self, frames: int, speed: float) -> Iterator[torch.Tensor]:
        """Codes of so many frames, made at `speed` times real time."""
        codes = torch.arange(frames).expand(8, -1)
        for part in codes.split(AT_ONCE, dim=1):
            self.now += part.shape[1] / FRAME_RATE / speed
            yield part


def starved(frames: int, speed: float) -> float:
    """Seconds that a player which begins with the first piece stands still."""
    clock, player = Clock(), Answer()
    for piece in Playback(clock).chunks(clock.made(frames, speed), FIRST, 0):
        player.hear(clock.now, piece.shape[1] / FRAME_RATE)
    return player.starved


@given(frames=st.integers(0, 400), speed=st.floats(0.2, 50), ahead=st.integers(0, 10))
def test_nothing_is_lost_and_no_piece_is_small_but_the_last(frames: int, speed: float, ahead: int) -> None:
    clock = Clock()
    pieces = list(Playback(clock).chunks(clock.made(frames, speed), FIRST, ahead))
    joined = torch.cat(pieces, dim=1) if pieces else torch.empty(8, 0)
    assert joined[0].tolist() == list(range(frames))
    assert all(FIRST <= piece.shape[1] < MAX_CHUNK + AT_ONCE for piece in pieces[:-1])


@given(speed=st.floats(1.05, 50))
def test_a_player_never_stands_still_where_frames_come_faster_than_they_are_played(speed: float) -> None:
    assert starved(400, speed) < 1e-9


def test_pieces_double_where_there_is_time() -> None:
    clock = Clock()
    sizes = [piece.shape[1] for piece in Playback(clock).chunks(clock.made(400, 40), FIRST, 0)]
    assert sizes == [8, 16, 32, 64, 128, 128, 24]


def test_pieces_stay_small_where_there_is_none() -> None:
    clock = Clock()
    sizes = [piece.shape[1] for piece in Playback(clock).chunks(clock.made(100, 1.1), FIRST, 0)]
    assert max(sizes) <= 16


def test_runs_go_on_where_the_one_before_ended_and_pauses_are_played_too() -> None:
    """Kind: each sentence is handed out in small chunks again, or late, since the pause was not counted."""
    clock = Clock()
    playback, player, sizes = Playback(clock), Answer(), []
    for run in range(4):
        if run:
            playback.note_pause(0.25)
            player.hear(clock.now, 0.25)
        for chunk in playback.chunks(clock.made(60, 10), FIRST, 0):
            sizes.append(chunk.shape[1])
            player.hear(clock.now, chunk.shape[1] / FRAME_RATE)
    assert sizes == [8, 16, 32, 4, 60, 60, 60]
    assert player.starved < 1e-9
