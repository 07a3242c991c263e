"""Route requests of one voice to the replica that has prefilled the beginning of its prompts.

Ray Serve's proxies load this class; see deploy/ray_serve.py.
"""

import asyncio
import hashlib
import random
from collections.abc import Sequence

from ray.exceptions import RayError
from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

LOOK_SECONDS = 0.1  # timeout for a replica's number of requests


class VoiceRouter(RequestRouter):
    """Prefers a voice's home replica if it has a free slot, else the less busy of two, as Serve does.

    The header x-session-id names the voice: any word that is the same for all of its requests, such as its
    id. Requests without it have no home. All proxies compute the same homes without communicating, and a
    replica that comes or goes moves only its own share of the voices.
    """

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Return groups of replicas in the order to try; within a group, the least busy is used."""
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
        """Return whether a request would start at once there, as far as this proxy knows."""
        requests = self.replica_queue_len_cache.get(replica.replica_id)
        if requests is None:
            asked = replica.get_queue_len(deadline_s=LOOK_SECONDS)
            try:
                requests = await asyncio.wait_for(asked, LOOK_SECONDS)
            except (RayError, TimeoutError):
                return False
        return requests < replica.replica_metadata.get("slots", 1)


def home_of(voice: str, replicas: Sequence[str]) -> int:
    """Return the index of a voice's home: the replica with the highest hash of both (rendezvous hashing)."""
    scores = [hashlib.sha256(f"{voice}\n{name}".encode()).digest() for name in replicas]
    return scores.index(max(scores))
