"""An adapter as llama.cpp reads it.

llama.cpp's rule (llama-adapter.h, get_scale): a tensor's change is multiplied with alpha / rank, where alpha is one figure for
the whole file and rank the tensor's own; an alpha of 0 would count as none given. rsLoRA divides by the root of the rank, and
patterns give tensors alphas and ranks of their own. So the file says the alpha that is right for its first tensor, and what
another tensor should have beyond that is multiplied into its B.
"""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from pipeline.exporting import adapters
from pipeline.exporting.adapters import Adapter
from pipeline.exporting.families import Names


def write(adapter: Adapter, config: Mapping[str, Any], path: Path, *, name: str, licence: str = "") -> None:
    """Write `path` in 32-bit floats. `config`: the base's config.json.

    Raises Invalid: export.adapter for what llama.cpp's adapters cannot hold, export.model for a base of another family.
    """
    adapters.for_gguf(adapter, name)
    names = Names(config, name)
    with closing(gguf.GGUFWriter(path, names.family.name)) as writer:
        writer.add_type("adapter")
        writer.add_name(name)
        if licence:
            writer.add_license(licence)
        writer.add_string("adapter.type", "lora")
        alpha = _alpha(adapter)
        writer.add_float32("adapter.lora.alpha", alpha)
        for module, change in sorted(adapter.changes.items()):
            weight = f"{module}.weight"
            if config.get("tie_word_embeddings") and module in ("lm_head", "model.embed_tokens"):
                raise adapters.refusal(name, f"a change of {module}, which the base has once for two purposes")
            b = names.rows(weight, change.b) * np.float32(change.scale * change.rank / alpha)
            writer.add_tensor(f"{names.of(weight)}.lora_a", change.a)
            writer.add_tensor(f"{names.of(weight)}.lora_b", np.ascontiguousarray(b))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def _alpha(adapter: Adapter) -> float:
    """The alpha of the file, by its first tensor; never 0."""
    first = adapter.changes[min(adapter.changes)]
    return first.scale * first.rank or 1.0
