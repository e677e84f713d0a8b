"""Makes a smaller GGUF file of one in 16 or 32 bits, by llama.cpp's own quantiser in a process of its own.

llama.cpp ends a process where it finds something that it did not expect, so it never runs in ours.
"""

import ctypes
import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

from pipeline.errors import Failed, Invalid, Problem
from pipeline.models.catalog import amount
from pipeline.models.download import Report
from pipeline.models.machine import ROOM, free_disk

PROGRESS = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")  # llama.cpp's line for each tensor
SAID = 20  # lines that are kept to find a cause in


def kinds() -> dict[str, int]:
    """The types that llama.cpp names, by name: Q4_K_M, Q8_0 ..."""
    from gguf import LlamaFileType

    named = {one.name.removeprefix("MOSTLY_").removeprefix("ALL_"): int(one) for one in LlamaFileType}
    return {name: number for name, number in named.items() if name != "GUESSED"}


def quantize(source: Path, target: Path, kind: str, report: Report) -> None:
    """Write `target`, whole or not at all. Raises Invalid for a type that there is not, a file that cannot be made smaller,
    a file that is in the way, or a disk without room; Failed where llama.cpp gives no reason that somebody could mend.
    """
    number = kinds().get(kind.upper())
    if number is None:
        raise Invalid(Problem("quantize.type", f"there is no type {kind}.", fix=f"There is: {', '.join(kinds())}."))
    if target.exists():
        raise Invalid(
            Problem("quantize.there", "it is there already.", str(target), "Take it away, or give --out another name.")
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    size, free = source.stat().st_size, free_disk(target.parent)
    if free < ROOM * size:
        message = f"up to {amount(ROOM * size)} of disk are needed, and {amount(free)} are free."
        raise Invalid(Problem("catalog.disk", message, fix="Make room, or give --out a file on a larger disk."))
    part = target.with_name(f".{target.name}.part")
    try:
        status, said = _run(source, part, number, report)
        if status:
            raise _refusal(source, kind, said)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _run(source: Path, part: Path, number: int, report: Report) -> tuple[int, list[str]]:
    """Run the quantiser; return its status and the last that it said."""
    command = [sys.executable, "-m", "pipeline.models.quantize", str(source.absolute()), str(part.absolute()), str(number)]
    said = deque[str](maxlen=SAID)
    home = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=home, stderr=subprocess.PIPE, text=True, errors="replace") as child:
        try:
            assert child.stderr
            for line in child.stderr:
                said.append(line.strip())
                if found := PROGRESS.search(line):
                    done, total = int(found[1]), int(found[2])
                    report(done / total, {"act": "quantize", "done": str(done), "total": str(total)})
        finally:
            if child.poll() is None and sys.exc_info()[0]:
                child.kill()
        return child.wait(), list(said)


def _refusal(source: Path, kind: str, said: list[str]) -> Invalid | Failed:
    text = "\n".join(said)
    if "requantizing from type" in text:
        fix = "Begin with a file in F16, BF16 or F32: what was rounded once gets worse when it is rounded again."
        return Invalid(Problem("quantize.again", "it is quantised already.", str(source), fix))
    if "matrix" in text and "importance" in text:
        fix = "Take a type that needs none: Q4_K_M, Q5_K_M, Q6_K, Q8_0."
        return Invalid(Problem("quantize.matrix", f"{kind} wants an importance matrix.", str(source), fix))
    last = next((line for line in reversed(said) if "fail" in line.lower() or "error" in line.lower()), "it gave no reason")
    return Failed(f"llama.cpp could not make {kind} of {source.name}: {last}")


def main(source: str, target: str, number: str) -> int:
    """What the child does. 0: it is done."""
    import llama_cpp as lib

    params = lib.llama_model_quantize_default_params()
    params.ftype = int(number)
    return int(lib.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(params)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
