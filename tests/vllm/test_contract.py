"""The same client, the same promises, three servers: `make test-vllm`."""

from collections.abc import AsyncIterator, Iterator

import pytest

from pipeline.models.client import Client
from tests.vllm import servers
from tests.vllm.contract import PROMISES, SCHEMAS, Has, Place, Promise, a_structured_answer_fits

pytestmark = pytest.mark.vllm
SERVERS = {"vllm": servers.vllm, "ours": servers.ours, "llama-cpp-python": servers.llama_cpp_python}


@pytest.fixture(scope="module", params=SERVERS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
async def client(place: Place) -> AsyncIterator[Client]:
    made = place.client()
    yield made
    await made.close()


@pytest.mark.parametrize(("promise", "needs"), PROMISES, ids=[promise.__name__ for promise, _ in PROMISES])
async def test_a_promise_holds(place: Place, client: Client, promise: Promise, needs: Has | None) -> None:
    if needs and needs not in place.has:
        pytest.skip(f"this server has no {needs}")

    await promise(place, client)


async def test_structured_answers_fit_nearly_always_at_once(place: Place, client: Client) -> None:
    """20 schemas of every kind. All fit in the end; with a model that has no sense, most must without a second question."""
    at_once = [await a_structured_answer_fits(place, client, schema) for schema in SCHEMAS]

    assert sum(at_once) >= 18, f"{sum(at_once)} of {len(at_once)} at once"
