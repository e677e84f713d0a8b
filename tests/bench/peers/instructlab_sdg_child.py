"""instructlab-sdg's full pipeline with the settings that `ilab` gives it: {"url", "model", "leaves"} in, how many it kept out.

It says when it is ready, and begins at the next line: its imports do not count, nor how it learns what the server can do.
"""

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from instructlab.sdg.blocks.llmblock import server_supports_batched
from instructlab.sdg.generate_data import generate_taxonomy
from openai import OpenAI

WORKERS, BATCH, EACH = 10, 8, 30  # defaults.py of instructlab 0.26: NUM_CPU, BATCH_SIZE, NUM_INSTRUCTIONS


def seeds(leaf: dict[str, Any]) -> str:
    """The rows that it makes of a freeform skill's qna.yaml."""
    about = {"task_description": leaf["task"], "leaf_node_type": "freeform_skill", "leaf_node_path": leaf["name"]}
    pairs = leaf["examples"]
    rows = [{**about, "seed_question": one["question"], "seed_response": one["answer"]} for one in pairs]
    return "".join(json.dumps(row) + "\n" for row in rows)


def main() -> None:
    given = json.loads(sys.stdin.readline())
    logging.disable(logging.WARNING)
    client = OpenAI(base_url=given["url"], api_key="none", timeout=600)
    server_supports_batched(client, given["model"])
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as folder:
        source, target = Path(folder) / "seeds", Path(folder) / "generated"
        source.mkdir()
        for leaf in given["leaves"]:
            (source / f"{leaf['name'].replace('/', '_')}.jsonl").write_text(seeds(leaf), encoding="utf-8")
        print("ready", flush=True)
        sys.stdin.readline()
        generate_taxonomy(
            client,
            str(source),
            str(target),
            model_family="mixtral",
            model_id=given["model"],
            num_cpus=WORKERS,
            num_instructions_to_generate=EACH,
            console_output=False,
            pipeline="full",
            batch_size=BATCH,
        )
        kept = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in target.glob("*.jsonl"))
    print(json.dumps({"kept": kept}))


if __name__ == "__main__":
    main()
