"""What `labpipe serve` would run, and why: vLLM where there is CUDA and a vLLM, else our own engine.

`plan` is pure: what was asked for and what was found on this machine go in, a command line and its reasons come out.
`served` and `look` find those things; `labpipe serve --print` shows the plan and runs nothing.
vLLM pins a torch of its own and lives in an environment of its own: nothing of ours imports it, `--vllm-python` names it.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pipeline import places, secret
from pipeline.errors import Invalid, Problem
from pipeline.models import catalog, machine

PORT = 8000
CONTEXT = 8192  # tokens that a request may hold where nobody says otherwise and the model can
SLOTS = 32
LORA_RANK = 64  # of vLLM's steps the one that holds every adapter trained here
KEY = "LABBOT_SERVE_KEY"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NEEDED = ("gguf", "jinja2", "llama_cpp", "llguidance", "starlette", "uvicorn")  # of the extra `local`
SAMPLING = {"temperature": 0.8, "top_p": 0.95, "top_k": 40, "min_p": 0.05}  # engine.Sampling's own, so that vLLM has them too
COMPACT = {"backend": "guidance", "disable_any_whitespace": True}  # vLLM 0.32 allows it with this backend only
# words of the command line that are taken as they are
SETTINGS = "host port context capacity slots threads gpu_layers wait engine vllm_python with_parent".split()
BOUNDS = {
    **{"port": (0, 65_535), "context": (0, 2**24), "capacity": (0, 2**28)},
    **{"slots": (1, 224), "threads": (0, 1024), "gpu_layers": (-1, 1000)},  # 256 sequences, of which 32 are kept for others
}
LOOK_S = 30.0  # the longest that nvidia-smi or a Python may take to answer

Wait = Literal["passive", "active"]
Choice = Literal["auto", "own", "vllm"]


@dataclass(frozen=True, slots=True)
class Served:
    """A model that is here: as a GGUF file, as a folder of transformers' kind, or both."""

    name: str
    gguf: Path | None = None
    folder: Path | None = None
    trained: int = 0  # the context it was trained for, where its folder says so


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. `context`, `capacity`, `threads`: 0 for the usual. `keyed`: whether there is an API key."""

    model: Served
    host: str = "127.0.0.1"
    port: int = PORT
    context: int = 0
    capacity: int = 0
    slots: int = SLOTS
    threads: int = 0
    gpu_layers: int = -1
    wait: Wait = "passive"
    adapters: tuple[Path, ...] = ()
    engine: Choice = "auto"
    vllm_python: Path | None = None
    keyed: bool = False
    with_parent: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: the GPU's name ("" for none), whether the given Python has vLLM, which modules of ours are missing."""

    cuda: str = ""
    vllm: bool = False
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    engine: Literal["own", "vllm"]
    argv: tuple[str, ...]
    why: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)  # besides what is there; the key is handed over apart

    def __str__(self) -> str:
        words = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return "\n".join([" ".join([*words, shlex.join(self.argv)]), *(f"  {reason}" for reason in self.why)])


def plan(wanted: Wanted, found: Found) -> Plan:
    """What to run. Raises Invalid where it cannot be, or must not."""
    wrong = [name for name, (least, most) in BOUNDS.items() if not least <= getattr(wanted, name) <= most]
    if wrong:
        bounds = ((name, *BOUNDS[name]) for name in wrong)
        raise Invalid(
            *(
                Problem("serve.number", f"it is {least} to {most}.", f"--{name.replace('_', '-')}")
                for name, least, most in bounds
            )
        )
    if wanted.host not in LOOPBACK and not wanted.keyed:
        fix = f"Set {KEY}, give --key-file, or leave --host out."
        message = "without a key the server listens on this machine only."
        raise Invalid(Problem("serve.open", message, f"--host {wanted.host}", fix))
    against = _against_vllm(wanted, found)
    if wanted.engine == "vllm" and against:
        raise Invalid(Problem("serve.vllm", against[0], "--engine vllm"))
    if wanted.engine != "own" and not against:
        return _vllm(wanted, found)
    why = ("Our own engine, because --engine own says so.",) if wanted.engine == "own" else against
    return _own(wanted, found, why)


def _against_vllm(wanted: Wanted, found: Found) -> tuple[str, ...]:
    """Why vLLM cannot be taken; the first is enough. Whoever asks for it by --engine may try it without CUDA."""
    reasons = []
    if wanted.vllm_python is None:
        reasons.append("Not vLLM: no --vllm-python names an environment that has it.")
    elif not found.vllm:
        reasons.append(f"Not vLLM: {wanted.vllm_python} cannot import it.")
    if not found.cuda and wanted.engine != "vllm":
        reasons.append("Not vLLM: there is no CUDA device here.")
    if wanted.model.folder is None:
        reasons.append(f"Not vLLM: {wanted.model.name} is here as a GGUF file only, and vLLM wants safetensors (hf/).")
    return tuple(reasons)


def _vllm(wanted: Wanted, found: Found) -> Plan:
    context = wanted.context or min(wanted.model.trained or CONTEXT, CONTEXT)
    argv = [str(wanted.vllm_python), "-m", "vllm.entrypoints.cli.main", "serve", str(wanted.model.folder)]
    argv += ["--served-model-name", wanted.model.name, "--host", wanted.host, "--port", str(wanted.port)]
    argv += ["--max-model-len", str(context), "--max-num-seqs", str(wanted.slots)]
    argv += ["--enable-lora", "--max-lora-rank", str(LORA_RANK)]
    argv += ["--structured-outputs-config", json.dumps(COMPACT)]
    argv += ["--generation-config", "vllm", "--override-generation-config", json.dumps(SAMPLING)]
    why = [
        f"vLLM, because {found.cuda} is here and {wanted.vllm_python} has it."
        if found.cuda
        else "vLLM, because --engine vllm says so.",
        "It loads adapters (peft's folders) from any path that it may read: keep its port to yourself.",
    ]
    told = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    return Plan("vllm", tuple(argv), tuple(why), told)


def _own(wanted: Wanted, found: Found, why: tuple[str, ...]) -> Plan:
    if wanted.model.gguf is None:
        fix = "Name its .gguf, or let vLLM serve the folder: --vllm-python PATH."
        raise Invalid(Problem("serve.gguf", "our engine wants a GGUF file, and this is a folder.", wanted.model.name, fix))
    if found.missing:
        fix = "Install them: `make model`, or .venv/bin/python -m pip install -c constraints.txt -e '.[local]'"
        raise Invalid(Problem("serve.extra", f"our engine needs {', '.join(found.missing)}.", "extra local", fix))
    argv = [sys.executable, "-m", "pipeline", "serve", str(wanted.model.gguf), "--engine", "own"]
    argv += ["--host", wanted.host, "--port", str(wanted.port), "--slots", str(wanted.slots)]
    argv += ["--context", str(wanted.context), "--capacity", str(wanted.capacity)]
    argv += ["--threads", str(wanted.threads), "--gpu-layers", str(wanted.gpu_layers), "--wait", wanted.wait]
    argv += [word for folder in wanted.adapters for word in ("--adapters", str(folder))]
    argv += ["--with-parent"] if wanted.with_parent else []
    return Plan("own", tuple(argv), why, {"OMP_WAIT_POLICY": "passive"} if wanted.wait == "passive" else {})


def served(word: str, models: Path) -> Served:
    """The model of that name in `models`, or at that path; "" is the chosen one. Raises Invalid where there is none."""
    path = Path(word)
    if path.suffix == ".gguf" or len(path.parts) > 1:
        return _at(path)
    name = word or catalog.chosen(models)
    if not name:
        fix = "Choose one: `labpipe model list`, then `labpipe model use NAME`."
        raise Invalid(Problem("serve.chosen", "no model is chosen yet.", str(models), fix))
    if catalog.card(models, name) is None:
        here = ", ".join(catalog.here(models)) or "none"
        fix = f"Get it: `labpipe model {'make-tiny' if name == catalog.TINY else f'download {name}'}`."
        raise Invalid(Problem("serve.model", f"there is no model of that name on this machine; here: {here}.", name, fix))
    hf = models / name / "hf"
    folder = hf if (hf / "config.json").is_file() else None
    return Served(name, catalog.weights(models, name), folder, _trained(folder))


def _at(path: Path) -> Served:
    if path.is_dir() and (path / "config.json").is_file():
        return Served(path.resolve().name, None, path.resolve(), _trained(path))
    if not path.is_file():
        raise Invalid(Problem("serve.model", "there is no such file.", str(path), "See what is here: `labpipe model list`."))
    resolved = path.resolve()
    return Served(resolved.parent.name if resolved.name == "model.gguf" else resolved.stem, resolved)


def _trained(folder: Path | None) -> int:
    try:
        return int(json.loads((folder / "config.json").read_bytes())["max_position_embeddings"]) if folder else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def look(vllm_python: Path | None) -> Found:
    """Find out what `plan` asks of a machine."""
    missing = tuple(name for name in NEEDED if find_spec(name) is None)
    return Found(machine.look().gpu, vllm_python is not None and _has_vllm(vllm_python), missing)


def _has_vllm(python: Path) -> bool:
    command = [str(python), "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"]
    try:
        return (
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LOOK_S, check=False).returncode == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def key(environment: Mapping[str, str], file: Path | None) -> str:
    """The API key: from a file that only its owner can read, else from the environment; "" for none."""
    return secret.file(file) if file else secret.read(environment, KEY)


def models_of(environment: Mapping[str, str]) -> Path:
    """Where an installation keeps its models."""
    return places.data(environment) / "models"
