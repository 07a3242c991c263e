"""The OpenAPI document is the server's: requests made from it get the answers that it promises."""

from collections.abc import Iterator

import pytest
import schemathesis
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app import create_app
from settings import Settings
from tests.tiny_server import TinyServer, ready, write_endless_model

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# The same requests in every run, few enough for a few seconds; the coverage phase has no such bound.
CONFIG = {
    "seed": 1,
    "generation": {"deterministic": True, "max-examples": 8, "no-shrink": True, "database": "none"},
    "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
}

DOCUMENT = create_app(Settings()).openapi()
schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIG))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyServer]:
    """A server whose model speaks to the end of its few positions, whatever is said."""
    folder = tmp_path_factory.mktemp("documented")
    model = str(write_endless_model(folder / "model"))
    with ready(Settings(model=model, device="cpu", max_positions=256, data_dir=folder)) as server:
        yield server


@schema.parametrize()
def test_every_answer_is_one_that_the_document_promises(case: Case, server: TinyServer) -> None:
    case.call_and_validate(base_url=server.url, checks=CHECKS, timeout=60)


def test_the_document_tells_of_our_errors_only() -> None:
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(operations) > 25
    assert {status for operation in operations for status in operation["responses"]} == {
        *("200", "400", "401", "403", "404", "409", "413", "415", "429", "500", "501", "503")
    }
    assert not [name for name in DOCUMENT["components"]["schemas"] if "ValidationError" in name]
