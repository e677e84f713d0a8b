"""instructlab-sdg 0.8.3 at work, in an environment that has it.

mix FOLDER PHASE ...       mixes by the recipes in a folder, into upstream_PHASE.jsonl
collect GENERATED FOLDER   writes all its files from what its pipelines generated, one file a leaf
"""

import sys
from pathlib import Path

import yaml
from instructlab.sdg.generate_data import mix_datasets, postprocess_taxonomy

SYSTEM = "You are labbot, a helpful assistant."


def mix(folder: Path, phases: list[str]) -> None:
    for phase in phases:
        recipe = folder / f"{phase}_recipe.yaml"
        prompt = yaml.safe_load(recipe.read_text(encoding="utf-8"))["metadata"]["sys_prompt"]
        mix_datasets(str(recipe), str(folder / f"upstream_{phase}.jsonl"), num_proc=1, system_prompt=prompt)


def collect(generated: Path, folder: Path) -> None:
    settings = {"num_procs": 1, "system_prompt": SYSTEM, "use_legacy_pretraining_format": False}
    postprocess_taxonomy(str(generated), str(folder), "x", pipeline="full", **settings)


if __name__ == "__main__":
    if sys.argv[1] == "mix":
        mix(Path(sys.argv[2]), sys.argv[3:])
    else:
        collect(Path(sys.argv[2]), Path(sys.argv[3]))
