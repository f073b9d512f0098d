"""Writes docs/reference.md from the program itself, so that it cannot drift: `python docs/make_reference.py`.

`tests/test_docs.py` fails when the file is not what this would write.
"""

from pathlib import Path

import typer

from coincast.cli import app
from coincast.features import FEATURES
from coincast.models import MODELS, model_named
from coincast.terminal import first_sentence

HEAD = """# Reference

Written by `docs/make_reference.py` from the program itself.

## Commands

Exit code 0: done. 2: wrong usage or bad input, said in three sentences: what was found, why it matters, what to do.
Every command that prints a table takes `--json`.
"""


def text() -> str:
    """The whole page."""
    parts = [HEAD]
    group = typer.main.get_command(app)
    for name, command in group.commands.items():
        context = typer.Context(command, info_name=f"coincast {name}", terminal_width=100, max_content_width=100)
        parts.append(f"### coincast {name}\n\n```\n{command.get_help(context)}\n```\n")
    parts.append("## Models\n\n| model | what it is | reads | bars of context |\n|---|---|---|---|")
    for name in MODELS:
        kind = model_named(name)
        model = kind()
        reads = ", ".join(model.features)
        parts.append(f"| `{name}` | {first_sentence(kind)} | {reads} | {model.lookback} |")
    parts.append("\n## Features\n\n| feature | what it measures | first bars without a value |\n|---|---|---|")
    parts += [f"| `{f.name}` | {f.says} | {f.warm_up} |" for f in FEATURES.values()]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("reference.md").write_text(text())
