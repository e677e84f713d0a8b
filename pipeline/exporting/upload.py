"""Puts an export where others find it: into a repository of a model hub, or below a place in S3.

What goes there is what lies in export/, and scores.json and scores.md; nothing else of the run. The adapter's files go to the
top, where peft and vLLM look for them. Tokens and keys come from the environment alone and stand in no message.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pipeline import secret
from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.models.download import Hub, hub_of
from pipeline.pool import reaching

EXPORT, ADAPTER = "export", "export/adapter/"
BESIDE = ("scores.json", "scores.md")
CARD = "README.md"  # goes last: who sees it finds the rest
REPOSITORY = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
SAID = 300  # characters of an answer that an error quotes
Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """`where`: OWNER/NAME on the hub, or an s3:// address."""

    kind: Literal["hub", "store"]
    where: str


def targets(wanted: Sequence[str]) -> list[Target]:
    """What was asked for, before anything is made. Raises Invalid (export.target) for what is neither."""
    found = []
    for one in wanted:
        where = one.strip().removeprefix("hf://")
        if where.startswith("s3://") and urlsplit(where).netloc and not urlsplit(where).username:
            found.append(Target("store", where))
        elif re.fullmatch(REPOSITORY, where) and "--" not in where and ".." not in where:
            found.append(Target("hub", where))
        else:
            fix = "Write OWNER/NAME for a repository of the hub, or s3://BUCKET/PREFIX."
            raise Invalid(Problem("export.target", f"{one!r} is no place to upload to.", fix=fix, facts={"target": one}))
    return found


def listed(run: Path) -> dict[str, Path]:
    """What is uploaded: the name there, and the file here. A link is none of ours, and a name with a dot is being written."""
    found = {}
    for path in sorted((run / EXPORT).rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in Path(name).parts):
            found[name.removeprefix(ADAPTER).removeprefix(f"{EXPORT}/")] = path
    found |= {name: run / name for name in BESIDE if (run / name).is_file()}
    return dict(sorted(found.items(), key=lambda one: (one[0] == CARD, one[0])))


def upload(run: Path, target: Target, environment: Mapping[str, str], tick: Tick = lambda _done, _all: None) -> list[str]:
    """Upload an export; return the names there.

    Raises Invalid (export.login, export.target) for what somebody can mend, Temporary where the place is away or busy,
    Failed for the rest. What had come by then stays there.
    """
    files = listed(run)
    mask = secret.Mask(secret.values(environment))
    try:
        _SENDERS[target.kind](files, target.where, environment, tick)
    except Invalid as error:
        raise Invalid(*(replace(one, message=mask(one.message), where=target.where) for one in error.problems)) from None
    except LabError as error:
        raise type(error)(mask(str(error))) from None
    return list(files)


# --- the hub


def _to_hub(files: Mapping[str, Path], where: str, environment: Mapping[str, str], tick: Tick) -> None:
    """In one commit, so that nobody sees a part. A repository that is not there yet is made, private: its owner opens it."""
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # nobody looks at a worker's terminal
    hub = hub_of({**environment, "HF_TOKEN": secret.read(environment, "HF_TOKEN")})
    if not hub.token:
        raise _login(hub, where, "asks for an account")
    api = HfApi(endpoint=hub.endpoint, token=hub.token, library_name="labbot")
    try:
        api.create_repo(where, private=True, exist_ok=True)
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]
        api.create_commit(where, operations, commit_message="Upload from labbot")
    except Exception as error:
        raise _refused(error, hub, where) from error
    tick(len(files), len(files))


def _refused(error: Exception, hub: Hub, where: str) -> LabError:
    """What the hub's answer means to whoever asked for the upload."""
    import httpx2  # huggingface_hub's own client
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return Invalid(Problem("hub.offline", "HF_HUB_OFFLINE keeps this machine off the network.", fix="Unset it."))
    told = HfHubHTTPError | httpx2.TransportError
    while error.__cause__ and not isinstance(error, told) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # "Error while uploading" hides the cause
    why = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ValueError) and not isinstance(error, HfHubHTTPError):
        return Failed(f"{hub.host} does not take the export: {why}")
    if not isinstance(error, told | ConnectionError | TimeoutError):
        return Failed(f"the upload to {hub.host} failed: {why}")
    if not isinstance(error, HfHubHTTPError):
        return Temporary(f"{hub.host} cannot be reached ({why}). The export is whole here; ask for the upload again later.")
    status = error.response.status_code
    if status in (401, 403, 404):
        return _login(hub, where, "does not take HF_TOKEN")
    if status < 500 and status not in (408, 429):
        fix = "Look at the name of the repository."
        message = f"{hub.host} does not take it ({status}: {why[:SAID]})."
        return Invalid(Problem("export.target", message, fix=fix, facts={"target": where}))
    return Temporary(f"{hub.host} is busy ({status}). The export is whole here; ask for the upload again later.")


def _login(hub: Hub, where: str, has: str) -> Invalid:
    fix = f"Set HF_TOKEN to a token that may write to {where}, and ask for the upload again."
    facts = {"host": hub.host, "target": where}
    return Invalid(Problem("export.login", f"{hub.host} {has} for {where}.", fix=fix, facts=facts))


# --- S3


def _to_store(files: Mapping[str, Path], where: str, _environment: Mapping[str, str], tick: Tick) -> None:
    fs, root, shown = reaching.reach(where.rstrip("/"))
    for done, (name, path) in enumerate(files.items(), 1):
        try:
            fs.put_file(str(path), f"{root}/{name}")
        except Exception as error:
            raise reaching.refusal(f"{name} cannot be uploaded", shown, error) from error
        tick(done, len(files))


_SENDERS: Mapping[str, Callable[[Mapping[str, Path], str, Mapping[str, str], Tick], None]] = {
    "hub": _to_hub,
    "store": _to_store,
}
