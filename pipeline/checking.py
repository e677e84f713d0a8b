"""`labpipe check`: files and whole trees, judged on every core, said as text, as JSON or as GitHub's annotations.

A path that is a file is judged alone, as upstream does. A path that is a folder is a tree of entries: what upstream's
checks and its data generation say of the neighbours of a qna.yaml is told too, under codes of its own. Whoever writes by
hand can have the same paths judged anew whenever a file of theirs changes.
"""

import dataclasses
import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from pipeline.check import Finding, Level, Mode, check_file, finding, refused
from pipeline.taxonomy import CLOSED

Job = tuple[Path, bool]  # a file, and whether it was found in a tree

FEW = 16  # files that are judged sooner than another process has started
CHUNK = 16  # files that a process is handed at a time
AHEAD = 64  # chunks that wait to be judged, so that memory does not grow with the tree
LIKE = ("qna.yml", "qna.txt", "qna.yaml.txt", "qna.json")  # what people call the file, counted in 1,528 pull requests


def check_paths(paths: Iterable[Path], mode: Mode, cores: int | None = None) -> Iterator[Finding]:
    """Everything that is wrong with files and trees, path by path in their order."""
    jobs = (job for path in paths for job in (_tree(path) if path.is_dir() else [(path, False)]))
    first = list(islice(jobs, FEW))
    for job in first if len(first) < FEW else ():
        yield from _judged(mode, job)
    if len(first) == FEW:
        yield from _judged_by_many(mode, first, jobs, cores or os.cpu_count() or 1)


def _judged_by_many(mode: Mode, first: list[Job], rest: Iterator[Job], cores: int) -> Iterator[Finding]:
    """The same, by a process a core, in order; only so many chunks are under way at once."""

    def chunks() -> Iterator[list[Job]]:
        yield first
        while chunk := list(islice(rest, CHUNK)):
            yield chunk

    with ProcessPoolExecutor(cores) as pool:
        waiting = []
        try:
            for chunk in chunks():
                with _ctrl_c_held():
                    waiting.append(pool.submit(_judged_chunk, mode, chunk))
                if len(waiting) >= AHEAD:
                    yield from waiting.pop(0).result()
            for one in waiting:
                yield from one.result()
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Processes that begin in here never hear Ctrl-C, which a terminal sends to all: who asked for the work ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _judged_chunk(mode: Mode, chunk: list[Job]) -> list[Finding]:
    return [found for job in chunk for found in _judged(mode, job)]


def _judged(mode: Mode, job: Job) -> list[Finding]:
    path, in_tree = job
    return _in_tree(path, mode) if in_tree else check_file(path, mode)


# --- trees


def _tree(root: Path) -> Iterator[Job]:
    """Every file of a tree that is an entry, or looks like one, in order."""
    for folder, names in _walk(root):
        for name in sorted(names):
            if name == "qna.yaml" or name.lower() in LIKE:
                yield folder / name, True


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders of a tree with the names of their files, in order. Follows no link to a folder."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(folder), names


def _in_tree(path: Path, mode: Mode) -> list[Finding]:
    """A file and what lies beside it. CI asks for attribution.txt, data generation (ilab) for leaves of one kind."""
    if CLOSED in path.parts:
        return [finding(path, "tree.closed", level="warning")]
    if path.name != "qna.yaml":
        return [finding(path, "tree.name", name=path.name)]
    beside = path.with_name("attribution.txt")
    needed: Level = "error" if mode == "ci" else "warning"
    found = check_file(path, mode)
    if not beside.is_file():
        found.append(finding(path, "tree.attribution", level=needed))
    elif not beside.stat().st_size:
        found.append(finding(beside, "tree.attribution-empty", level=needed))
    if not any(one.level == "error" for one in found) and _mixed(path):
        found.append(finding(path, "tree.mixed", level="error" if mode == "ilab" else "warning"))
    return found


def _mixed(path: Path) -> bool:
    """Whether some seed examples of a valid entry have a context and others have none."""
    contents = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return len({"context" in example for example in contents.get("seed_examples", [])}) > 1


# --- saying it


def as_text(findings: Iterable[Finding]) -> Iterator[str]:
    for one in findings:
        yield f"{one.path}:{one.line}:{one.column}: {one.level}: {one.message} {one.fix} [{one.code}]"


def as_json(findings: Iterable[Finding]) -> Iterator[str]:
    """One array, an object a line, begun before the last file is judged."""
    lead = "["
    for one in findings:
        yield lead + json.dumps(dataclasses.asdict(one))
        lead = ","
    yield "]" if lead == "," else "[]"


def as_annotations(findings: Iterable[Finding]) -> Iterator[str]:
    """GitHub's workflow commands; its escapes keep a message on its line and inside its command."""
    for one in findings:
        place = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in _place(one).items())
        yield f"::{one.level} {place}::{_escaped(f'{one.message} {one.fix}')}"


def _place(one: Finding) -> dict[str, Any]:
    return {"file": one.path, "line": one.line, "col": one.column, "title": one.code}


def _escaped(text: str, more: str = "") -> str:
    for sign in "%\r\n" + more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


FORMATS: dict[str, Callable[[Iterable[Finding]], Iterator[str]]] = {"text": as_text, "json": as_json, "github": as_annotations}


def run(paths: list[Path], mode: Mode, form: str, write: Callable[[str], object]) -> int:
    """Check paths and say what was found as it is found. 1 if the mode refuses any of the files, else 0."""
    refused = False

    def noted() -> Iterator[Finding]:
        nonlocal refused
        for one in check_paths(paths, mode):
            refused = refused or one.level == "error"
            yield one

    try:
        for line in FORMATS[form](noted()):
            write(line)
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return int(refused)


# --- again at every change


Stamps = dict[Path, tuple[int, int, int] | None]  # a file that counts -> what changes when it is written; None: not there

SETTLE_MS = 50  # an editor that saves by renaming takes less
QUIET_MS = 200  # how long the watcher is given to stand before the first look
MANY = 3  # changed files that are named


def watch(paths: list[Path], mode: Mode, write: Callable[[str], object]) -> int:
    """Check paths now and whenever a file of theirs changes, until Ctrl-C. The status is that of the last whole check.

    Raises OSError where the system cannot watch: no such right, or too many folders.
    """
    status = 1  # nothing has been found good yet
    last: Stamps | None = None
    try:
        for stamps in _looks(paths):
            if stamps != last:
                found = list(check_paths(paths, mode))
                heading = _heading(paths, last, stamps, found)
                status, last = int(refused(found)), stamps
                for line in (heading, *as_text(found)):
                    write(line)
    except KeyboardInterrupt:
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return status


def _looks(paths: list[Path]) -> Iterator[Stamps]:
    """How the files stand, looked at once the watcher stands and after each event, so that no change can be missed.

    Folders are watched, not files: a file that is saved by renaming is another one. They are watched anew where they are
    no longer the same, and one by one, since a file's folder may hold a whole home.
    """
    from watchfiles import watch as events  # only here, so that a check does not need the library

    while True:
        folders = _folders(paths)
        options: dict[str, Any] = {"watch_filter": None, "recursive": False, "step": SETTLE_MS, "yield_on_timeout": True}
        try:
            for turn, changes in enumerate(events(*folders, rust_timeout=QUIET_MS, **options)):
                if changes or not turn:
                    yield _stamps(paths)
                    if _folders(paths) != folders:
                        break
        except FileNotFoundError:  # a folder went between being listed and being watched
            continue


def _folders(paths: list[Path]) -> set[Path]:
    """The folders whose names decide how the files stand: all of a tree, that of a file, the nearest where it is to be."""
    found = set()
    for path in paths:
        if path.is_dir():
            found |= {folder for folder, _ in _walk(path)}
        for one in {path.absolute(), path.resolve()}:  # a link, and what it leads to
            found.add(next(folder for folder in one.parents if folder.is_dir()))
    return found


def _stamps(paths: list[Path]) -> Stamps:
    files: list[Path] = []
    for path in paths:
        for one, in_tree in _tree(path) if path.is_dir() else [(path, False)]:
            files += [one, one.with_name("attribution.txt")] if in_tree else [one]
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _heading(paths: list[Path], before: Stamps | None, now: Stamps, found: list[Finding]) -> str:
    """What has changed since, and how many findings there are: "-- qna.yaml changed: 2 errors, 1 warning"."""
    if before is None:
        subject = ", ".join(map(str, paths))
    else:
        changed = sorted(str(path) for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        subject = f"{', '.join(changed) if len(changed) <= MANY else f'{len(changed)} files'} changed"
    counts = [(sum(one.level == level for one in found), level) for level in ("error", "warning")]
    said = ", ".join(f"{count} {level}{'s' * (count != 1)}" for count, level in counts if count)
    return f"-- {subject}: {said or 'nothing to mend'}"
