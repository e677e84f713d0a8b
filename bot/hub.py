"""How this labbot is on GitHub, from its settings: the accounts that it keeps, and what each platform's shell needs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.accounts import Linking, Where, forget
from bot.core.records import Draft
from bot.github import Github
from bot.pulls import Pulls
from bot.settings import Settings
from bot.store import Store
from pipeline import secret, vault
from pipeline.errors import Invalid, Temporary
from pipeline.github import client, identity, reading
from pipeline.github.accounts import Accounts
from pipeline.github.following import Follower, exported
from pipeline.github.rows import Rows
from pipeline.installation import Installation
from pipeline.memory import Memory
from pipeline.pulls import Rules, Waiting
from pipeline.runs import Runs

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

APP_S = 3000.0  # of the hour that an App's token is good
LOOK_S = 20.0  # the longest that somebody waits for what waits for triage: others in that place wait too
WEBHOOKS = "LABBOT_GITHUB_WEBHOOK_SECRET"


async def nobody() -> list[tuple[str, str]]:
    return []


@dataclass
class Hub:
    """One a process. Without `taxonomy.repo` nobody is asked anything: proposals are branches of the checkout then."""

    settings: Settings
    memory: Memory
    store: Store
    runs: Runs
    installed: Installation
    clock: Callable[[], float]
    accounts: Accounts = field(init=False)
    _app: tuple[str, float] = field(init=False, repr=False, default=("", 0.0))

    def __post_init__(self) -> None:
        self.where = client.hub_of(self.installed.github)
        section = self.settings.bot.github
        try:
            self.vault: vault.Vault | None = vault.load(self.settings.environment)
        except Invalid:  # nobody can link an account then, and hears that
            self.vault = None
        self.accounts = Accounts(self.memory, self.vault, self.where, section.client)
        self.rules = Rules(section.lgtms, section.stale_days, section.close_days)

    @property
    def repo(self) -> str:
        return self.settings.bot.taxonomy.repo

    def shell(self, platform: str, triagers: Callable[[], Awaitable[list[tuple[str, str]]]]) -> Github | None:
        """What the shell of a platform does with GitHub; None where there is no repository that pull requests go to."""
        section = self.settings.bot.github
        if not self.repo and not section.client:
            return None
        where = Where(self.where, section.client, bool(section.app), self.repo, self.rules)
        linking = Linking(self.store, self.accounts, where, self.vault, self.settings.words, self.clock)
        follower = Follower(
            self.memory, self.where, self.token, self.rules, platform=platform, clock=self.clock, poll_s=section.poll_s
        )
        pulls = Pulls(self.store, follower, platform, repo=self.repo, clock=self.clock, waits=self.waiting, text=self.proposed)
        return Github(linking, pulls, triagers, self.settings.bot.words.locale)

    def routes(self) -> "list[BaseRoute]":
        """Where GitHub tells that something happened; nowhere without a secret by which it is known to be GitHub."""
        from pipeline.github import hooks

        known_by = secret.read(self.settings.environment, WEBHOOKS)
        return hooks.routes(self.memory, known_by, self.repo) if known_by and self.repo else []

    async def token(self, person: str) -> str:
        """With which token GitHub is read for somebody: the App's, else theirs, else none."""
        if self.settings.bot.github.app:
            return await self._of_app()
        return await self.accounts.token(person) if person else ""

    async def _of_app(self) -> str:
        """The App's token, minted anew when it is about to end."""
        if self.clock() >= self._app[1]:
            minted = await identity.app(self.installed.github, self.settings.environment, self.repo)
            self._app = minted.token, self.clock() + APP_S
        return self._app[0]

    async def waiting(self) -> tuple[Waiting, ...]:
        """What waits for triage, oldest first. Raises what the client raises."""
        try:
            async with asyncio.timeout(LOOK_S), client.GitHub(self.where, await self.token(""), patience_s=0.0) as github:
                return tuple(await reading.waiting(github, self.repo))
        except TimeoutError:
            raise Temporary("GitHub takes too long", kind="away") from None

    async def proposed(self, draft: str) -> str:
        """The qna.yaml of a draft as its newest pull request has it; "" where its run is gone."""
        row = await self.store.draft(draft)
        return await asyncio.to_thread(self._entry, row) if row and row.run else ""

    def _entry(self, draft: Draft) -> str:
        path = self.runs.folder / draft.run / "entry" / "qna.yaml"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    async def forget(self, person: str) -> None:
        """Take away somebody's account and the pull requests that they are told of, wherever; what is public stays."""
        await forget(self.store, self.accounts, person)
        rows = Rows(self.memory)
        for draft in await rows.drafts(person):
            await rows.leave(draft)

    async def export(self, person: str) -> dict[str, object]:
        """What is kept of somebody's account, without its token, and of the pull requests that they are told of."""
        account = await self.accounts.export(person)
        pulls = [exported(row) for row in await Rows(self.memory).of(person)]
        return {**({"account": account} if account else {}), **({"pull requests": pulls} if pulls else {})}
