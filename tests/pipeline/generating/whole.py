"""A run from an entry to the files that upstream trains on, by `labpipe run` as an operator gives it: the teacher is real,
the judge a script that finds everything good, since what small practice models write is nonsense.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.generating import rows
from pipeline.generating.rows import Kind, Row
from tests.conftest import HOME
from tests.fakes.git_host import GitHost
from tests.fakes.teacher import Teacher

TAXONOMY = HOME.parent / "shared" / "data" / "taxonomy"
ENTRIES: dict[Kind, str] = {
    "freeform": "compositional_skills/linguistics/synonyms",
    "grounded": "compositional_skills/grounded/linguistics/inclusion",
    "knowledge": "knowledge/science/animals/birds/black_capped_chickadee",
}
SHORT = {"samples": 4, "unseen": 4, "reworded": 1}  # of each source; and answers of a length that practice models end in time
CHARS, TOKENS, CHUNK = 60, 256, 1500


@dataclass(frozen=True)
class Whole:
    """The folder of a run, and what has come of it."""

    folder: Path
    said: list[dict[str, Any]]

    @property
    def samples(self) -> list[Row]:
        return list(rows.read(self.folder / rows.SAMPLES))

    @property
    def facts(self) -> dict[str, str]:
        """All that was said, the last of each."""
        return {name: text for line in self.said for name, text in line["facts"].items()}


async def carried(folder: Path, kind: Kind, teacher: str, key: str = "") -> Whole:
    """Perform the stages up to `mix` on the real entry of that kind."""
    run = folder / "run"
    with _entry(folder, kind) as (entry, net):
        home = _home(folder / "home", net)
        async with Teacher({}) as judge:
            urls = {"LABBOT_TEACHER_URL": teacher, "LABBOT_JUDGE_URL": judge.url, "TEACHER_KEY": key or "none"}
            places = {"LABBOT_HOME": str(home), "LABBOT_DATA": str(folder / "data")}
            words = ("run", "contribution", str(entry), "--until", "mix", "--folder", str(run))
            done = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "pipeline", *words),
                env=os.environ | urls | places,
                cwd=HOME,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            out, err = await done.communicate()
    assert done.returncode == 0, err.decode()
    return Whole(run, [json.loads(line) for line in out.decode().splitlines()])


def _home(home: Path, net: dict[str, Any]) -> Path:
    """Our configs with fewer samples, and answers of few tokens."""
    shutil.copytree(HOME / "configs", home / "configs")
    for path in (home / "configs" / "recipes").glob("*.yaml"):
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "steps" in found:
            found |= SHORT | ({"chunk": CHUNK, "samples": 1} if "chunk" in found else {})
            found["stop"]["share"] = 0
            for step in (*found["steps"], *found["rewordings"]):
                step |= {"max_tokens": TOKENS, "chars": CHARS}
            path.write_text(yaml.safe_dump(found), encoding="utf-8")
    _changed(home / "configs" / "models" / "roles.yaml", "teacher", {"key_env": "TEACHER_KEY"})
    _changed(home / "configs" / "bot.yaml", "net", net)
    return home


def _changed(path: Path, section: str, values: dict[str, Any]) -> None:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    found[section] |= values
    path.write_text(yaml.safe_dump(found), encoding="utf-8")


@contextmanager
def _entry(folder: Path, kind: Kind) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The entry, and what may be reached where its document lies in a repository here, which holds its own contexts."""
    entry = folder / "taxonomy" / ENTRIES[kind]
    shutil.copytree(TAXONOMY / ENTRIES[kind], entry)
    if kind != "knowledge":
        yield entry / "qna.yaml", {}
        return
    found = yaml.safe_load((entry / "qna.yaml").read_text(encoding="utf-8"))
    parts = "\n\n".join(f"# Part {at}\n\n{one['context']}" for at, one in enumerate(found["seed_examples"], 1))
    host = GitHost(folder / "host")
    commit = host.repo("birds", {"birds.md": parts.encode()})
    with host.up() as url:
        found["document"] = {"repo": f"{url}/birds.git", "commit": commit, "patterns": ["*.md"]}
        (entry / "qna.yaml").write_text(yaml.safe_dump(found, allow_unicode=True), encoding="utf-8")
        yield entry / "qna.yaml", {"allow": ["127.0.0.1"], "ca": str(host.ca)}
