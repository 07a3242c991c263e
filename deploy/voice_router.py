"""Requests of one voice go to the replica that has read it, where the beginning of its prompts is prefilled.

Serve's proxies load this class; see deploy/ray_serve.py.
"""

import asyncio
import hashlib
import random
from collections.abc import Sequence

from ray.exceptions import RayError
from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

LOOK_SECONDS = 0.1  # for a replica to say how many requests it has


class VoiceRouter(RequestRouter):
    """Prefers a voice's home while that has a free slot; else takes the less busy of two, as Serve does.

    The voice is what the header x-session-id says: any word that is the same for all requests of one voice,
    such as the voice's id. Requests without it have no home. All proxies find the same homes, without a word
    between them, and a replica that comes or goes moves its own share of the voices only.
    """

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Groups of replicas in the order in which they are tried; in a group the least busy is taken."""
        pair = random.sample(candidate_replicas, min(2, len(candidate_replicas)))
        if pending_request is None or not pair:
            return [pair]
        pending_request.routing_context.should_backoff = True
        voice = pending_request.metadata.session_id
        if not voice:
            return [pair]
        names = [replica.replica_id.unique_id for replica in candidate_replicas]
        home = candidate_replicas[home_of(voice, names)]
        return [[home], pair] if await self._has_room(home) else [pair]

    async def _has_room(self, replica: RunningReplica) -> bool:
        """Whether a request would speak at once there, as far as this proxy knows."""
        requests = self.replica_queue_len_cache.get(replica.replica_id)
        if requests is None:
            asked = replica.get_queue_len(deadline_s=LOOK_SECONDS)
            try:
                requests = await asyncio.wait_for(asked, LOOK_SECONDS)
            except (RayError, TimeoutError):
                return False
        return requests < replica.replica_metadata.get("slots", 1)


def home_of(voice: str, replicas: Sequence[str]) -> int:
    """The index of a voice's home: the replica with the highest hash of both (rendezvous hashing)."""
    scores = [hashlib.sha256(f"{voice}\n{name}".encode()).digest() for name in replicas]
    return scores.index(max(scores))
