"""The files of a commit, and which of them a pattern names. Values in, values out."""

import fnmatch
import os
from dataclasses import dataclass

from pipeline.texts import HTML

MAX_PATTERN = 200  # characters
KINDS = {".md": "md", ".pdf": "pdf"}  # what ilab's data generation reads, its letters as they are
OURS = dict.fromkeys(HTML, "html")  # what we read besides, where a pattern says so: by all others both find the same files
SKIPPED = {"120000": "link", "160000": "submodule"}  # by git's mode


@dataclass(frozen=True, slots=True)
class File:
    """A file of the commit. `mode`: git's, 100644 or 100755 for a plain one. `size` in bytes."""

    path: str
    mode: str
    blob: str
    size: int

    @property
    def kind(self) -> str:
        """ "md", "pdf" or "html"; "" for what is not read."""
        return (KINDS | OURS).get(os.path.splitext(self.path)[1], "") if self.mode.startswith("100") else ""

    def named(self, pattern: str) -> bool:
        """Whether that pattern names it, and it is read by it."""
        return self.kind in kinds(pattern) and matches(pattern, self.path)


def kinds(*patterns: str) -> frozenset[str]:
    """The kinds of files that are read by any of these patterns: HTML only by one that ends as such a file does."""
    return frozenset({*KINDS.values(), *(OURS[end] for end in OURS for one in patterns if one.endswith(end))})


def allowed(pattern: str) -> bool:
    """Whether it is a pattern at all, and one that stays within the repository."""
    outside = pattern.startswith(("/", "~")) or "\\" in pattern or ".." in pattern.split("/")
    return bool(pattern) and len(pattern) <= MAX_PATTERN and pattern.isprintable() and not outside


def matches(pattern: str, path: str) -> bool:
    """Whether ilab would find that file: `glob.glob(os.path.join(checkout, pattern))`, not recursive (instructlab-sdg,
    utils/taxonomy.py). So a pattern names a whole path from the root, `*` and `**` stay within a folder's name, a leading
    dot is matched by a dot only, and letters count as they are. ilab would follow links too, which is not done here.
    """
    parts, wanted = path.split("/"), [part for part in pattern.split("/") if part not in ("", ".")]
    visible = all(part[0] != "." or want[0] not in "*?[" for part, want in zip(parts, wanted, strict=False))
    named = len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
    return visible and named and not pattern.endswith("/")
