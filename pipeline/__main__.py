"""`labpipe`: the work behind the door, by hand."""

import argparse
import logging
import os
import sys
from functools import partial
from pathlib import Path

from pipeline.errors import Invalid, LabError


def main(words: list[str] | None = None) -> int:
    words = sys.argv[1:] if words is None else words
    parser = argparse.ArgumentParser(prog="labpipe", description="The work behind labbot's door, by hand.")
    commands = parser.add_subparsers(dest="command", required=True)
    stage = commands.add_parser("stage", help="perform one stage of a run: a JSON line a step; what a worker starts")
    stage.add_argument("folder", type=Path, help="the run's folder, with its run.json")
    stage.add_argument("stage")
    stage.add_argument("--fed", action="store_true", help="end when standard input ends or says nothing for a lease")
    if words[:1] != ["stage"]:  # its libraries take 0.1 s, which a worker's child need not wait for
        from pipeline.pool import operate

        operate.words(commands)
    check = commands.add_parser("check", help="say what upstream's checks would say of files and trees, all at once, in words")
    check.add_argument("--mode", choices=("ci", "ilab"), default="ci", help="as a pull request's check, or as ilab: strict")
    check.add_argument("--format", choices=("text", "json", "github"), default="text", help="github: for a workflow's log")
    check.add_argument("--watch", action="store_true", help="judge again whenever a file changes, until Ctrl-C; as text only")
    check.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a qna.yaml, or a folder of entries")
    _serve_words(commands)
    _judge_words(commands)
    commands.add_parser(
        "model", help="the models on this machine: list, download, make-tiny, info, quantize, use, remove, setup"
    )
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # huggingface_hub reads it when it is imported
    if words[:1] == ["model"]:
        return model(words[1:])
    given = parser.parse_args(words)
    if given.command == "serve":
        return serve(given)
    if given.command == "judge":
        from pipeline.judging import calibrate

        return calibrate.main(given, os.environ, print, sys.stderr)
    if given.command == "stage":
        from pipeline.pool import perform

        return perform.stage(given.folder, given.stage, fed=given.fed)
    if given.command in operate.COMMANDS:
        return operate.main(given, os.environ)
    if given.watch and given.format != "text":
        check.error(f"--watch says what it finds as text, not as {given.format}; leave one of the two out")
    return check_by_hand(given)


def _serve_words(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    serve = commands.add_parser(
        "serve",
        help="serve a model by the OpenAI protocol",
        description="Serve a model by the OpenAI protocol: our own engine, or vLLM where there is CUDA and --vllm-python. "
        "It asks for the key in LABBOT_SERVE_KEY, or in --key-file, as `Authorization: Bearer KEY`.",
    )
    serve.add_argument("model", nargs="?", default="", metavar="NAME|PATH", help="default: the model that is chosen")
    serve.add_argument("--host", default="127.0.0.1", help="where to listen; beyond this machine only with a key")
    serve.add_argument("--port", type=int, default=8000, help="0: a free one, which the line at the start names")
    serve.add_argument(
        "--context", type=int, default=0, metavar="N", help="tokens that a request may hold (the model's, at most 8192)"
    )
    serve.add_argument("--capacity", type=int, default=0, metavar="N", help="tokens in memory of all requests (4 contexts)")
    serve.add_argument("--slots", type=int, default=32, metavar="N", help="answers written at once (%(default)s); others wait")
    serve.add_argument("--threads", type=int, default=0, metavar="N", help="threads to compute with (one a physical core)")
    serve.add_argument("--gpu-layers", type=int, default=-1, metavar="N", help="layers on the GPU, where there is one (all)")
    serve.add_argument(
        "--wait",
        choices=("passive", "active"),
        default="passive",
        help="how threads wait for each other; active is faster, but far slower where something else wants the cores",
    )
    serve.add_argument(
        "--adapters", action="append", default=[], type=Path, metavar="DIR", help="a folder that adapters may be loaded from"
    )
    serve.add_argument("--key-file", type=Path, metavar="FILE", help="a file with the key, which only its owner may read")
    serve.add_argument("--vllm-python", type=Path, metavar="PATH", help="the Python of an environment that has vLLM")
    serve.add_argument("--engine", choices=("auto", "own", "vllm"), default="auto", help="which one, whatever the machine")
    serve.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    serve.add_argument("--models", type=Path, metavar="DIR", help="where models lie (LABBOT_DATA/models)")
    serve.add_argument("--print", action="store_true", dest="show", help="say what would be run, and why, and run nothing")


def _judge_words(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    judge = commands.add_parser(
        "judge",
        help="measure the judge: whether it tells good samples from bad ones",
        description="Ask the model of the role `judge` about samples of ours whose labels are known, as a run would ask it. "
        "Ends with 0: it may judge; 1: it judges no better than chance, or did not answer; 2: a setting is wrong.",
    )
    judge.add_argument("--calibrate", action="store_true", required=True, help="ask it, and keep what was found for the runs")
    judge.add_argument("--json", action="store_true", help="say what was found as JSON")


def serve(given: argparse.Namespace) -> int:
    """Serve until told to stop. 1: it failed or the engine broke; 2: it could not begin, with what to do about it."""
    from pipeline.models import launch, running

    when = "" if given.with_parent else "%(asctime)s "  # a parent's log has the time already
    logging.basicConfig(level=logging.INFO, format=f"{when}%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        key = launch.key(os.environ, given.key_file)
        wanted = launch.Wanted(
            launch.served(given.model, given.models or launch.models_of(os.environ)),
            adapters=tuple(folder.absolute() for folder in given.adapters),
            keyed=bool(key),
            **{name: getattr(given, name) for name in launch.SETTINGS},
        )
        found = launch.look(given.vllm_python)
        if given.show:
            print(launch.plan(wanted, found))
            return 0
        return running.run(wanted, found, key, partial(print, flush=True))
    except LabError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, Invalid) else 1


def model(words: list[str]) -> int:
    """Look after the models of this machine."""
    from pipeline.models import shop  # its libraries take 0.2 s, which a run need not wait for

    return shop.main(words, os.environ, sys.stdout, input if sys.stdin.isatty() and sys.stdout.isatty() else None)


def check_by_hand(given: argparse.Namespace) -> int:
    """Check files and trees, once or at every change. 2: the system cannot watch them."""
    from pipeline import checking  # its libraries take 0.1 s, which a run need not wait for

    if not given.watch:
        return checking.run(given.paths, given.mode, given.format, print)
    try:
        return checking.watch(given.paths, given.mode, partial(print, flush=True))
    except OSError as error:
        print(f"These files cannot be watched: {error}. Leave --watch out.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
