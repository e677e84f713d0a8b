"""The documents that a leaf's samples were made from, each once, on disk: some are drawn to stand beside a question."""

import hashlib
import random
import tempfile
from array import array


class Shelf:
    """Documents by their number, from 0. In memory are 16 bytes of digest and an offset for each; texts lie in a file."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the shelf, and close ends it
        self._starts = array("Q", [0])
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, text: str) -> int:
        """Keep a document; its number, which is the same when it is put again."""
        content = text.encode()
        name = hashlib.blake2b(content, digest_size=16).digest()
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers)
            self._file.seek(self._starts[-1])
            self._file.write(content)
            self._starts.append(self._starts[-1] + len(content))
        return self._numbers[name]

    def __getitem__(self, number: int) -> str:
        self._file.seek(self._starts[number])
        return self._file.read(self._starts[number + 1] - self._starts[number]).decode()

    def around(self, own: int, draw: random.Random, golden: float, most: int) -> list[str]:
        """Documents for a question about the one with the number `own`, in any order: RAFT (arXiv 2403.10131).

        In a share `golden` of the calls `own` is among them, else only others are; where there are no others, it is alone.
        """
        others = len(self) - 1
        if not others:
            return [self[own]]
        with_own = draw.random() < golden
        drawn = draw.sample(range(others), min(most - with_own, others))
        numbers = [number + (number >= own) for number in drawn] + [own] * with_own
        draw.shuffle(numbers)
        return [self[number] for number in numbers]

    def close(self) -> None:
        self._file.close()
