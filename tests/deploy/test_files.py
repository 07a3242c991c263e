"""The files of deploy/ as their own schemas have them, and what they name as the server has it."""

import json
import re
import subprocess
import sys
from typing import Any

import kubernetes_validate
import pytest
import yaml

from setting_names import variable
from settings import Settings
from tests.api.unloaded import unloaded
from tests.test_imports import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OBJECTS = ("deployment.yaml", "service.yaml", "autoscaler.yaml", "disruption.yaml", "gpu/gpu.yaml")
VERSION = "1.34"
SETTINGS = {variable(name) for name in Settings.model_fields}
# Those of an engine that has no model yet are not told.
OF_THE_MODEL = {
    "higgs_waiting_requests",
    "higgs_speaking_requests",
    "higgs_slots",
    "higgs_model_loaded",
    "higgs_cache_lookups_total",
}


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def deployed() -> dict[str, Any]:
    pod: dict[str, Any] = read("kubernetes/deployment.yaml")["spec"]["template"]["spec"]
    return pod


def metrics() -> set[str]:
    """The names of all samples at /metrics."""
    text = unloaded().get("/metrics").text
    families = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    ends = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}
    return {family + end for family, kind in families for end in ends[kind]} | OF_THE_MODEL


def metrics_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:higgs|process)_\w+\b", text)) - {"higgs_slots_in_use"}


def test_the_compose_file_is_one() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*check, str(DEPLOY / "compose.yaml")], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", OBJECTS)
def test_kubernetes_takes_its_objects(name: str) -> None:
    described = read(f"kubernetes/{name}")
    if name == "gpu/gpu.yaml":  # a patch: what it leaves out stands in the deployment
        described = merged(read("kubernetes/deployment.yaml"), described)
    kubernetes_validate.validate(described, VERSION, strict=True)


def merged(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """As kustomize merges: maps by their keys, the containers by their names."""
    result = dict(base)
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            result[key] = merged(base[key], value)
        elif key == "containers":
            names = [container["name"] for container in base[key]]
            result[key] = list(base[key])
            for container in value:
                place = names.index(container["name"])
                result[key][place] = merged(base[key][place], container)
        else:
            result[key] = value
    return result


def test_all_objects_are_in_the_kustomization_and_choose_the_same_pods() -> None:
    assert set(read("kubernetes/kustomization.yaml")["resources"]) == set(OBJECTS) - {"gpu/gpu.yaml"}
    deployment, service, autoscaler, disruption = (read(f"kubernetes/{name}") for name in OBJECTS[:4])
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == disruption["spec"]["selector"]["matchLabels"] == labels
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_a_pod_has_the_time_that_its_drain_takes() -> None:
    pod = deployed()
    (container,) = pod["containers"]
    drain = float(next(each["value"] for each in container["env"] if each["name"] == "HIGGS_DRAIN_SECONDS"))
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= before + drain + 10
    service = read("compose.yaml")["services"]["server-cpu"]
    assert service["stop_grace_period"] == f"{Settings().drain_seconds + 10:g}s"


def test_probes_ask_what_the_server_answers() -> None:
    (container,) = deployed()["containers"]
    client = unloaded()
    paths = {
        kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")
    }
    assert {kind: client.get(path).status_code for kind, path in paths.items()} == {
        "startup": 503,  # no model is loaded
        "liveness": 200,
        "readiness": 503,
    }


def test_settings_in_the_files_are_settings() -> None:
    files = [
        "compose.yaml",
        "env.example",
        *(f"kubernetes/{name}" for name in ("kustomization.yaml", *OBJECTS)),
    ]
    for name in files:
        named = set(re.findall(r"HIGGS_\w+", (DEPLOY / name).read_text("utf-8")))
        assert named <= SETTINGS, name


def test_dashboard_and_autoscaler_ask_for_metrics_that_there_are() -> None:
    """Their names are a promise: dashboards elsewhere ask for them, too."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts = [*asked, (KUBERNETES / "adapter-values.yaml").read_text("utf-8")]
    named = set().union(*map(metrics_in, texts))
    assert len(named) > 10 and named <= metrics()
    offered = {rule["name"]["as"] for rule in read("kubernetes/adapter-values.yaml")["rules"]["custom"]}
    wanted = {
        each["pods"]["metric"]["name"] for each in read("kubernetes/autoscaler.yaml")["spec"]["metrics"]
    }
    assert wanted == offered


def test_the_documented_metrics_are_all_there_are() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("## Metrics")[2].partition("\n## ")[0]
    documented = metrics_in(" ".join(re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics() if name.startswith("higgs_")}
    assert {name for name in families if not name.endswith("_created")} == documented
