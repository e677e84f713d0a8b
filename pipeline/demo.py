"""A small taxonomy made on the spot, so that everything can be tried before an operator names a real one."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.proposing.checkout import Checkout

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in {"NAME": "labbot demo", "EMAIL": "demo@labbot.invalid", "DATE": "@1767225600 +0000"}.items()
}


def make(folder: Path, tree: Path) -> None:
    """Make `folder` a git checkout of the files below `tree`, with one commit on `main`. Does nothing if it is there."""
    if (folder / ".git").is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        fresh = Path(made) / folder.name
        shutil.copytree(tree, fresh)
        checkout = Checkout(fresh)
        checkout.git("init", "--quiet", "--initial-branch=main")
        checkout.git("add", "--all")
        checkout.git("-c", "commit.gpgSign=false", "commit", "--quiet", "--message=Begin a demo taxonomy", env=_WHO)
        try:
            fresh.rename(folder)
        except OSError:
            if not (folder / ".git").is_dir():  # or another process was quicker
                raise
