"""Writes the files of an export, one format after the other, and has each looked at."""

import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import Invalid
from pipeline.exporting import adapter_gguf, adapters, asking, merging, model_gguf, verifying
from pipeline.exporting.adapters import Adapter
from pipeline.exporting.reference import Reference
from pipeline.exporting.tensors import Tensors
from pipeline.exporting.verifying import Check, Known
from pipeline.models import catalog, download, machine, quantize
from pipeline.training.base import Base

FORMATS = {  # what is written, in files and folders of export/
    "safetensors": "adapter/",
    "adapter": "adapter/, adapter.gguf",
    "merged": "merged/",
    "gguf": "model-F16.gguf",
    "Q4_K_M": "model-Q4_K_M.gguf",
    "Q5_K_M": "model-Q5_K_M.gguf",
    "Q8_0": "model-Q8_0.gguf",
}
QUANTISED = ("Q4_K_M", "Q5_K_M", "Q8_0")
BEAT_S = 5.0


@dataclass(slots=True)
class Telling:
    """Reports what is being done, and again every few seconds: a stage that is silent is taken for dead, and a file may take

    minutes. `steps`: how many there will be, about.
    """

    report: Callable[[float, Mapping[str, str]], None]
    steps: int
    done: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)

    def at(self, act: str, file: str) -> None:
        self.done += 1
        self.facts = {"stage": "export", "act": act, "file": file}
        self.report(min(0.99, self.done / (self.steps + 1)), self.facts)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Report while the block lasts."""
        over, began = threading.Event(), time.monotonic()

        def beat() -> None:
            while not over.wait(BEAT_S):
                since = {"since_s": f"{time.monotonic() - began:.0f}"}
                self.report(min(0.99, self.done / (self.steps + 1)), {"stage": "export", **self.facts, **since})

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@dataclass(slots=True)
class Work:
    """What is written of the adapter in `source` onto `base`. `run`: the run's folder; `name`: what files say they are;

    `system`: what the model is told before a question. `optional`: nobody asked for the adapter as GGUF by name, so that a
    base that llama.cpp does not know costs only that file; `left_out` says why then. `checks` grows with what was looked at.
    """

    run: Path
    base: Base
    adapter: Adapter
    source: Path
    formats: Sequence[str]
    name: str
    system: str
    telling: Telling
    optional: bool = False
    left_out: str = ""
    checks: list[Check] = field(default_factory=list)

    def make_sure_of_room(self) -> None:
        """Raises Invalid (catalog.disk) unless the disk has room for everything, also for what is there on the way only."""
        weights = sum(path.stat().st_size for path in self.base.folder.glob("*.safetensors"))
        models = {"gguf", *QUANTISED} & set(self.formats)
        in16bits = 2 * self._parameters()
        size = 3 * (self.source / adapters.WEIGHTS).stat().st_size
        size += self._whole() * weights + (len(models | {"gguf"}) if models else 0) * in16bits
        size += 0 if self.base.gguf else in16bits
        download.make_sure_of_room("export", size, size, self.run)

    def write(self, folder: Path, aside: Path) -> None:
        """Write and look at everything. `aside`: for what is needed on the way only. Raises what the stage says."""
        self._adapter(folder)
        merged = (folder if "merged" in self.formats else aside) / "merged"
        if self._whole():
            self.telling.at("merge", "merged")
            merging.merge(self.base.folder, self.adapter, merged)
        self._models(merged, folder, aside)
        self.telling.at("reference", self.base.name)
        seen, asked, why = self._seen()
        self._look(folder, aside, seen, asked, why)

    def _whole(self) -> bool:
        """Whether a merged model is needed, to be kept or to make others from."""
        return bool({"merged", "gguf", *QUANTISED} & set(self.formats))

    def _parameters(self) -> int:
        with Tensors(self.base.folder) as tensors:
            return sum(map(math.prod, tensors.shapes.values()))

    def _adapter(self, folder: Path) -> None:
        if {"adapter", "safetensors"} & set(self.formats):
            self.telling.at("adapter", "adapter")
            (folder / "adapter").mkdir()
            for name in (adapters.WEIGHTS, adapters.CONFIG):
                shutil.copyfile(self.source / name, folder / "adapter" / name)
        if "adapter" in self.formats:
            self.telling.at("adapter", "adapter.gguf")
            path = folder / "adapter.gguf"
            try:
                adapter_gguf.write(self.adapter, self.base.config, path, name=self.name, licence=self.base.licence)
            except Invalid as error:
                if not self.optional:
                    raise
                self.left_out = str(error)
                self.formats = [*(one for one in self.formats if one != "adapter"), "safetensors"]

    def _models(self, merged: Path, folder: Path, aside: Path) -> None:
        """The merged model as GGUF, and smaller ones of it."""
        smaller = [one for one in QUANTISED if one in self.formats]
        if not smaller and "gguf" not in self.formats:
            return
        path = (folder if "gguf" in self.formats else aside) / "model-F16.gguf"
        self.telling.at("gguf", path.name)
        about = f"{self.base.name} with an adapter that was trained with labbot, merged."
        model_gguf.write(merged, path, kind="F16", name=self.name, licence=self.base.licence, about=about)
        for kind in smaller:
            self.telling.at("quantize", f"model-{kind}.gguf")
            quantize.quantize(path, folder / f"model-{kind}.gguf", kind, lambda _fraction, _facts: None)

    # --- looking at what was written

    def _seen(self) -> tuple[Known | None, asking.Asked, str]:
        """What the reference computes: in 32 bits where memory allows it, else in the 16 of its weights, else why not."""
        from transformers import AutoTokenizer

        asked = asking.asked(self.run, AutoTokenizer.from_pretrained(self.base.folder), self.system)
        free, in32bits = machine.look().free_bytes, 4 * self._parameters()
        for exact, size in ((True, in32bits), (False, in32bits // 2)):
            if size * machine.ROOM < free:
                reference = Reference(self.base.folder, self.source, exact=exact)
                return verifying.known(reference, asked, exact=exact), asked, ""
        needed = catalog.amount(in32bits // 2)
        why = f"not compared with transformers: that takes {needed} of memory, and {catalog.amount(free)} are free"
        return None, asked, why

    def _look(self, folder: Path, aside: Path, seen: Known | None, asked: asking.Asked, why: str) -> None:
        for path in sorted(folder.glob("adapter/*")):
            self.checks += verifying.copied(path, self.source / path.name)
        if (path := folder / "adapter.gguf").is_file():
            self.telling.at("verify", path.name)
            gguf = self.base.gguf or self._base_gguf(aside)
            self.checks += verifying.adapter(path, gguf, seen) if seen else verifying.loaded(path, asked, why, base=gguf)
        if "merged" in self.formats:
            self.telling.at("verify", "merged")
            self.checks += verifying.merged(folder / "merged", self.base.folder, seen, why)
        for path in sorted(folder.glob("model-*.gguf")):
            self.telling.at("verify", path.name)
            kind = path.stem.removeprefix("model-")
            self.checks += verifying.model(path, kind, seen) if seen else verifying.loaded(path, asked, why)

    def _base_gguf(self, aside: Path) -> Path:
        """The base as GGUF, to look at the adapter with, where there is none to serve it."""
        path = aside / "base.gguf"
        model_gguf.write(self.base.folder, path, kind="F16", name=self.base.name, licence=self.base.licence, about="")
        return path
