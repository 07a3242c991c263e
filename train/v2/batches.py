"""Batches of examples, made by other processes beside the training, in the smallest numbers that hold them.

A batch goes through a pipe as bytes: a machine with a GPU may have no shared memory to speak of, and a GPU
that trains takes a batch of 48,000 positions every 50 ms. All that depends on counts (which rows are text,
which are learned) is found here, so that the GPU is never waited for.
"""

import multiprocessing
import pickle
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

import numpy as np
import torch

from train.examples import Example
from train.v2.examples import Examples

ASKED = 2  # batches that a process works on or has ready
READY = 6  # batches that wait in memory


@dataclass
class Batch:
    """B examples of up to S positions, padded at the end.

    Attributes:
        ids: [B, S].
        columns: [B, S, 8].
        mask: [B, S], true for audio positions.
        order: [B · S], the rows of text, then those of audio.
        back: [B · S], the place of each row in `order`.
        texts: how many are text.
        learned: [P], the rows that are learned from.
        targets: [P, 8].
        letters: [B, S, 2, 2], as of train.examples.Example.
    """

    ids: torch.Tensor
    columns: torch.Tensor
    mask: torch.Tensor
    order: torch.Tensor
    back: torch.Tensor
    texts: int
    learned: torch.Tensor
    targets: torch.Tensor
    letters: torch.Tensor

    def to(self, device: str) -> "Batch":
        """Return it on a device; copied to a GPU without waiting for it."""
        gpu = device == "cuda"
        parts = {name: value for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        if gpu:
            parts = {name: part.to(device, non_blocking=True) for name, part in parts.items()}
        wide = ("ids", "columns", "order", "back", "learned", "targets")
        return Batch(**parts | {name: parts[name].long() for name in wide}, texts=self.texts)


def packed(example: Example) -> dict[str, np.ndarray]:
    """Return a collated example as the arrays of a Batch."""
    mask = example.mask.numpy()
    flat = mask.ravel()
    order = np.concatenate([np.flatnonzero(~flat), np.flatnonzero(flat)]).astype(np.int32)
    back = np.empty_like(order)
    back[order] = np.arange(len(order), dtype=np.int32)
    return {
        "ids": example.ids.numpy().astype(np.int16),
        "columns": example.columns.numpy().astype(np.int16),
        "mask": mask,
        "order": order,
        "back": back,
        "texts": np.array(int((~flat).sum())),
        "learned": np.flatnonzero(example.learn.numpy().ravel()).astype(np.int32),
        "targets": example.targets[example.learn].numpy().astype(np.int16),
        "letters": example.letters.numpy().astype(np.int16),
    }


def unpacked(arrays: dict[str, np.ndarray], pin: bool) -> Batch:
    """Return the batch of what `packed` returned."""
    parts = {name: torch.from_numpy(array) for name, array in arrays.items() if name != "texts"}
    if pin:
        parts = {name: part.pin_memory() for name, part in parts.items()}
    return Batch(**parts, texts=int(arrays["texts"]))


def _work(examples: Examples, positions: int, seed: int, pipe: Connection, others: list[Connection]) -> None:
    """Answer each length that is asked for with a batch of targets up to it, until the pipe is closed."""
    for other in others:  # inherited: as long as they are open here, their processes don't see their end
        other.close()
    torch.set_num_threads(1)
    examples.seed(seed)
    try:
        asked = [pipe.recv()]
        for example in examples.batches(positions, lambda: asked[0]):
            pipe.send_bytes(pickle.dumps(packed(example), protocol=5))
            asked[0] = pipe.recv()
    except (EOFError, OSError):
        return


class Loader:
    """Endless batches from several processes.

    Args:
        examples: which each process inherits.
        positions: of a batch.
        workers: processes.
        seed: of their draws.
        pin: in pinned memory, for a GPU.
    """

    def __init__(self, examples: Examples, positions: int, workers: int, seed: int, pin: bool) -> None:
        fork = multiprocessing.get_context("fork")
        self._pin = pin
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._ready: queue.Queue[Batch | None] = queue.Queue(READY)
        self.longest = 0.0
        for number in range(workers):
            near, far = fork.Pipe()
            self._pipes.append(near)
            arguments = (examples, positions, 1000 * seed + number, far, self._pipes)
            process = fork.Process(target=_work, args=arguments, daemon=True)
            process.start()
            self._processes.append(process)
            far.close()

    def close(self) -> None:
        """End the processes. They hold what this one has open, such as pipes of others to it."""
        for process in self._processes:
            process.terminate()
            process.join()

    def batches(self, longest: float) -> Iterator[Batch]:
        """Yield batches; `longest`, the maximum target in seconds, may be changed on the way."""
        self.longest = longest
        for pipe in self._pipes:
            for _ in range(ASKED):
                pipe.send(longest)
        threading.Thread(target=self._receive, daemon=True).start()
        while (batch := self._ready.get()) is not None:
            yield batch
        raise RuntimeError("A process that makes batches has ended.")

    def _receive(self) -> None:
        try:
            while True:
                for pipe in cast(list[Connection], wait(self._pipes)):
                    data = pipe.recv_bytes()
                    pipe.send(self.longest)
                    self._ready.put(unpacked(pickle.loads(data), self._pin))
        except (EOFError, OSError):
            self._ready.put(None)


def unseen_batches(examples: Examples, positions: int, longest: float, count: int = 2) -> list[Batch]:
    """Return a few batches of one draw, the same at each start."""
    examples.seed(0)
    drawn = examples.batches(positions, lambda: longest)
    return [unpacked(packed(next(drawn)), pin=False) for _ in range(count)]
