"""A person's account comes by a code that they type in at GitHub, and whatever else they do there has a sentence."""

from collections.abc import Iterator

import pytest

from pipeline.errors import Invalid, Temporary
from pipeline.github import device
from pipeline.github.client import Hub, hub_of
from tests.fakes.github import FakeGitHub, Fault

CLIENT = "Iv1.labbot"
SCOPES = ("public_repo",)


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.clients.add(CLIENT)
        yield hub


@pytest.fixture
def hub(fake: FakeGitHub) -> Hub:
    return hub_of(fake.settings())


async def test_a_code_that_was_typed_in_gives_a_token(fake: FakeGitHub, hub: Hub) -> None:
    code = await device.begin(hub, CLIENT, SCOPES)
    before = await device.poll(hub, CLIENT, code)
    fake.approve(code.user_code, "alice")
    grant = await device.poll(hub, CLIENT, code)

    assert before is None
    assert (code.url, code.expires_s) == (f"{fake.url}/login/device", 900.0)
    assert grant and (grant.scopes, grant.expires_s, grant.refresh) == ("public_repo", 0.0, "")
    assert await device.whose(hub, grant.token) == ("alice", str(fake.users["alice"].id))


async def test_no_more_is_asked_for_than_writing_to_public_repositories(fake: FakeGitHub, hub: Hub) -> None:
    await device.begin(hub, CLIENT, SCOPES)

    assert fake.traffic[-1].asked == {"client_id": CLIENT, "scope": "public_repo"}


@pytest.mark.parametrize(("act", "code"), [("deny", "github.denied"), ("expire", "github.expired")])
async def test_a_code_that_comes_to_nothing_says_why(fake: FakeGitHub, hub: Hub, act: str, code: str) -> None:
    shown = await device.begin(hub, CLIENT, SCOPES)
    getattr(fake, act)(shown.user_code)
    with pytest.raises(Invalid) as error:
        await device.poll(hub, CLIENT, shown)

    assert (error.value.facts["code"], "/github link" in error.value.problems[0].fix) == (code, True)


async def test_an_application_that_github_does_not_know_is_the_operators_to_mend(hub: Hub) -> None:
    with pytest.raises(Invalid) as error:
        await device.begin(hub, "Iv1.other", SCOPES)

    assert (error.value.facts["code"], error.value.problems[0].where) == ("github.client", "github.client")


@pytest.mark.parametrize("kind", ["lost-before", "lost-after", "status"])
async def test_a_lost_answer_can_be_asked_for_again(fake: FakeGitHub, hub: Hub, kind: str) -> None:
    code = await device.begin(hub, CLIENT, SCOPES)
    fake.approve(code.user_code, "alice")
    fake.faults = [Fault(kind, path="POST")]  # type: ignore[arg-type]
    with pytest.raises(Temporary):
        await device.poll(hub, CLIENT, code)

    assert await device.poll(hub, CLIENT, code)


def test_who_asks_too_often_is_told_how_long_to_wait() -> None:
    with pytest.raises(Temporary) as error:
        device._grant({"error": "slow_down", "interval": 12})

    assert error.value.wait_s == 12.0


async def test_a_renewing_token_is_good_once(fake: FakeGitHub, hub: Hub) -> None:
    fake.token_s = 28_800
    code = await device.begin(hub, CLIENT, SCOPES)
    fake.approve(code.user_code, "alice")
    first = await device.poll(hub, CLIENT, code)
    assert first
    second = await device.renew(hub, CLIENT, first.refresh)
    with pytest.raises(Invalid) as error:
        await device.renew(hub, CLIENT, first.refresh)

    assert (first.expires_s, second.token != first.token, error.value.facts["code"]) == (28_800.0, True, "github.revoked")


async def test_neither_codes_nor_tokens_are_shown(fake: FakeGitHub, hub: Hub) -> None:
    fake.token_s = 28_800
    code = await device.begin(hub, CLIENT, SCOPES)
    fake.approve(code.user_code, "alice")
    shown = f"{code!r} {await device.poll(hub, CLIENT, code)!r}"

    assert ("PLANTED" in shown, code.user_code in shown) == (False, True)
