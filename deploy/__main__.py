"""`make serve-cluster`: replicas on this machine, or on the Ray cluster at RAY_ADDRESS, until SIGTERM.

python -m deploy --replicas 2 --port 8000     (accepts every flag of app.py, too)
"""

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Sequence

import ray
from ray import serve
from ray.serve.config import HTTPOptions

from deploy import proxy_errors
from deploy.ray_serve import Cluster, application
from errors import StartError
from setting_names import flag
from settings import load_settings

NAME = "higgs"


def main() -> None:
    cluster, others = parsed(sys.argv[1:])
    try:
        settings = load_settings(others)
        connect(cluster)
        app = application(settings, cluster)
    except StartError as error:
        sys.exit(f"python -m deploy: {error}")
    serve.start(proxy_location="EveryNode", http_options=HTTPOptions(host=settings.host, port=settings.port))
    serve.run(app, name=NAME)
    print(f"ready: {cluster.replicas} replicas on http://{settings.host}:{settings.port}/", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    serve.delete(NAME)  # once the requests under way are answered, or HIGGS_DRAIN_SECONDS are over
    serve.shutdown()
    ray.shutdown()


def parsed(arguments: Sequence[str]) -> tuple[Cluster, list[str]]:
    """Return the layout, and the arguments that are settings of the app."""
    parser = argparse.ArgumentParser("python -m deploy", allow_abbrev=False)
    for name, field in Cluster.model_fields.items():
        parser.add_argument(flag(name), default=argparse.SUPPRESS, help=field.description)
    layout, others = parser.parse_known_args(arguments)
    return Cluster.model_validate(vars(layout)), others


def connect(cluster: Cluster) -> None:
    """Join the cluster at RAY_ADDRESS, or start one on this machine with the cores that the replicas need."""
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        os.environ.setdefault(proxy_errors.VARIABLE, proxy_errors.HOOK)  # the proxy, Ray's child, reads it
        cores = max(os.cpu_count() or 1, math.ceil(cluster.cpus * cluster.maximum))
        ray.init(num_cpus=cores, include_dashboard=False)


if __name__ == "__main__":
    main()
