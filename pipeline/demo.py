"""A small taxonomy made on the spot, so that everything can be tried before an operator names a real one."""

import shutil
from pathlib import Path

from pipeline.stages.propose import Checkout

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "labbot demo", "EMAIL": "demo@labbot.invalid", "DATE": "@1767225600 +0000"}.items()
}


def make(folder: Path, tree: Path) -> None:
    """Make `folder` a git checkout of the files below `tree`, with one commit on `main`. Does nothing if it is there."""
    if (folder / ".git").is_dir():
        return
    fresh = folder.with_name(f".{folder.name}-new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(tree, fresh)
    checkout = Checkout(fresh)
    checkout.git("init", "--quiet", "--initial-branch=main")
    checkout.git("add", "--all")
    checkout.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--message=Begin a demo taxonomy", env=_WHO)
    fresh.rename(folder)
