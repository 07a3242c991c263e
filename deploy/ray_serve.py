"""The app as replicas on Ray Serve: one per GPU, or on a share of a CPU.

    make serve-cluster                            two replicas on this machine
    serve run deploy.ray_serve:build replicas=8   on the cluster that `ray start` made

The HIGGS_* settings of this process hold for all replicas, which share a database and Redis: see
docs/operations.md.
"""

import asyncio
import logging
import math
from typing import Any

import prometheus_client
import ray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt
from ray import serve
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.middleware.logs import set_up_logs
from api.shared_redis import SharedRedis
from app import create_app
from errors import StartError
from higgs.engine.memory import CPU_SLOTS, MAX_SLOTS
from settings import Settings, database_url, load_settings
from voices.store.voice_store import VoiceStore

log = logging.getLogger("app")

ROUTER = "deploy.voice_router.VoiceRouter"
# Far above slots and queue, since the app itself refuses excess requests, with 429 and Retry-After.
MAX_ONGOING_REQUESTS = 10_000
POLL_SECONDS = 0.1


class Cluster(BaseModel):
    """The layout of the replicas; `serve run` accepts the fields as name=value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: PositiveInt = Field(default=2, description="Replicas, at least.")
    max_replicas: PositiveInt | None = Field(
        default=None, description="Replicas under load, at most. Default: always as many."
    )
    gpus: NonNegativeFloat | None = Field(
        default=None, description="GPUs of each. Default: 1 where the cluster has some."
    )
    cpus: NonNegativeFloat = Field(default=1.0, description="CPU cores of each.")
    metrics_port: int = Field(
        default=9100, description="First port of /metrics: each replica of a machine takes the next one."
    )

    @property
    def maximum(self) -> int:
        """Replicas under load."""
        return max(self.replicas, self.max_replicas or 0)


@serve.ingress()
class Replica:
    """One replica: the app without its process. Ray Serve calls the methods.

    Args:
        settings: for all replicas.
        metrics_port: port of /metrics for the machine's first replica.
    """

    def __init__(self, settings: Settings, metrics_port: int) -> None:
        set_up_logs(settings.log_level, settings.log_format)
        self._server = create_app(settings)
        self._state = self._server.state.server
        self._trusted_proxies = settings.trusted_proxies
        port = metrics_port + serve.get_replica_context().rank.local_rank
        try:
            prometheus_client.start_http_server(port, settings.host, self._state.metrics.registry)
        except OSError as error:  # the replica before this one may still be finishing its requests
            log.warning("no metrics of this replica on port %d: %s", port, error.strerror)

    def __serve_build_asgi_app__(self) -> Any:
        app: Any = OneRequestId(self._server)
        return ProxyHeadersMiddleware(app, self._trusted_proxies) if self._trusted_proxies else app

    async def record_replica_metadata(self) -> dict[str, int]:
        """Return what the router knows of this replica, once it is warm: Serve sends requests after this."""
        while self._state.cloner is None and self._state.dead is None:
            await asyncio.sleep(POLL_SECONDS)
        await self.check_health()
        return {"slots": self._state.cloner.engine.slots}

    async def check_health(self) -> None:
        """Raise if this replica can't recover, so that Serve replaces it."""
        if self._state.dead is not None:
            raise RuntimeError(self._state.dead)


class OneRequestId:
    """Drop the app's x-request-id header: Serve's proxy sets the same one, whose id the app has used."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_without_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                del MutableHeaders(scope=message)["x-request-id"]
            await send(message)

        await self.app(scope, receive, send_without_id)


def build(cluster: Cluster) -> serve.Application:
    """Return what `serve run` deploys, with the settings of the environment."""
    return application(load_settings(), cluster)


def application(settings: Settings, cluster: Cluster) -> serve.Application:
    """Return the replicas for the connected Ray cluster.

    Raises:
        StartError: the database, Redis or GPUs that they need are missing.
    """
    check_shared(settings, machines=len([node for node in ray.nodes() if node["Alive"]]))
    gpus = _gpus(settings, cluster)
    deployment = serve.deployment(
        Replica,
        name="Replica",
        autoscaling_config=_autoscaling(cluster, settings.slots or (MAX_SLOTS if gpus else CPU_SLOTS)),
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        graceful_shutdown_timeout_s=settings.drain_seconds,
        graceful_shutdown_wait_loop_s=POLL_SECONDS,
        request_router_config=RequestRouterConfig(request_router_class=ROUTER),
        ray_actor_options={"num_cpus": cluster.cpus, "num_gpus": gpus},
    )
    if not gpus and settings.threads is None:
        settings = settings.model_copy(update={"threads": max(math.floor(cluster.cpus), 1)})
    return deployment.bind(settings, cluster.metrics_port)


def check_shared(settings: Settings, machines: int) -> None:
    """Check and migrate what replicas share before they start. Raises StartError if it is missing."""
    url = database_url(settings)
    if machines > 1 and url.startswith("sqlite"):
        message = "Replicas on several machines need a database that all reach; SQLite is a file."
        raise StartError(f"{message} Set HIGGS_DATABASE_URL to a PostgreSQL, MySQL or MariaDB.")
    if settings.redis_url is None:
        message = "Replicas share rate limits and audio ids in Redis; set HIGGS_REDIS_URL=redis://host:6379."
        raise StartError(message)
    redis = SharedRedis(settings.redis_url.get_secret_value(), lambda: None)
    redis.check()
    redis.close()
    VoiceStore(url).close()


def _gpus(settings: Settings, cluster: Cluster) -> float:
    """Return the number of GPUs per replica; it sees no others."""
    if settings.device not in ("auto", "cpu", "cuda"):
        message = f"HIGGS_DEVICE={settings.device} names one GPU; each replica gets its own from Ray"
        raise StartError(f"{message}: set auto, cuda or cpu.")
    if settings.device == "cpu":
        return 0.0
    there = ray.cluster_resources().get("GPU", 0.0)
    wanted = cluster.gpus if cluster.gpus is not None else float(there > 0)
    if wanted * cluster.replicas > there:
        raise StartError(
            f"{cluster.replicas} replicas with {wanted:g} GPUs each need more than the cluster's {there:g}."
            " Ask for fewer replicas, add machines, or set HIGGS_DEVICE=cpu."
        )
    return wanted


def _autoscaling(cluster: Cluster, slots: int) -> AutoscalingConfig:
    """Return the scaling: up once requests wait for a slot, down after a quiet minute."""
    options: dict[str, Any] = {"min_replicas": cluster.replicas, "target_ongoing_requests": slots}
    return AutoscalingConfig(max_replicas=cluster.maximum, upscale_delay_s=5, downscale_delay_s=60, **options)
