"""A flow of sdg-hub's own blocks with labbot's freeform steps: {"url", "model", "steps", "rows"} in, how many it kept out.

A step has its name, what it does, prompt, schema, fields, temperature, max_tokens and the score to keep from; a row is what
the first step is given. Every step is a prompt, a request, and what is read from its answer; all rows go through a block
before the next begins, each block's requests all at once, as it does where no `max_concurrency` is set. It begins at a
line after it said "ready".
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would be fetched from the net

import pandas as pd
import yaml
from sdg_hub.core.flow import Flow

ENTRY = r'"((?:[^"\\]|\\.)*)"(?=\s*[,\]])'  # a text in a list of texts
MADE = ("question", "answer")  # columns with a bare text; those of the input hold JSON


def prompt(step: dict[str, Any]) -> list[dict[str, str]]:
    """The two messages that labbot sends, as a template."""
    fields = (f'"{name}": {{{{ {name}{" | tojson" if name in MADE else ""} }}}}' for name in step["gives"])
    system = f"{{% raw %}}{step['prompt']}{{% endraw %}}"
    return [{"role": "system", "content": system}, {"role": "user", "content": f"{{{', '.join(fields)}}}"}]


def blocks(step: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    name = step["name"]
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(prompt(step)), encoding="utf-8")
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": step["schema"]}}
    asks = {"async_mode": True, "temperature": step["temperature"], "max_tokens": step["max_tokens"], "response_format": form}
    made = [
        block("PromptBuilderBlock", f"{name}_prompt", step["gives"], f"{name}_messages", prompt_config_path=path.name),
        block("LLMChatBlock", name, f"{name}_messages", f"{name}_response", **asks),
        block("LLMResponseExtractorBlock", f"{name}_read", f"{name}_response", None, extract_content=True),
    ]
    content = f"{name}_read_content"
    if step["does"] == "list":
        return [*made, block("RegexParserBlock", f"{name}_parse", content, "question", parsing_pattern=ENTRY)]
    if step["does"] == "text":
        return [*made, block("JSONParserBlock", f"{name}_parse", content, "answer")]
    score = f"{name}_score"
    reads = block("JSONParserBlock", f"{name}_parse", content, "score", field_prefix=f"{name}_")
    keeps = {"filter_value": step["keep"], "operation": "ge", "convert_dtype": "int"}
    return [*made, reads, block("ColumnValueFilterBlock", f"{name}_filter", score, None, **keeps)]


def block(kind: str, name: str, takes: str | list[str], makes: str | None, **more: Any) -> dict[str, Any]:
    outputs = {} if makes is None else {"output_cols": [makes]}
    takes = [takes] if isinstance(takes, str) else takes
    return {"block_type": kind, "block_config": {"block_name": name, "input_cols": takes, **outputs, **more}}


def main() -> None:
    given = json.loads(sys.stdin.readline())
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as base:
        folder = Path(base)
        told = {"name": "freeform", "version": "1.0.0"}
        parts = [one for step in given["steps"] for one in blocks(step, folder)]
        (folder / "flow.yaml").write_text(yaml.safe_dump({"metadata": told, "blocks": parts}), encoding="utf-8")
        flow = Flow.from_yaml(str(folder / "flow.yaml"))
        flow.set_model_config(model=f"openai/{given['model']}", api_base=given["url"], api_key="none")
        rows = pd.DataFrame([{name: json.dumps(value) for name, value in row.items()} for row in given["rows"]])
        print("ready", flush=True)
        sys.stdin.readline()
        found = flow.generate(rows)
        print(json.dumps({"kept": int(found["answer"].notna().sum())}), flush=True)


if __name__ == "__main__":
    main()
