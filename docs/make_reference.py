"""Writes docs/reference.md from the program itself, so that it cannot drift: `python docs/make_reference.py`.

`tests/test_docs.py` fails when the file is not what this would write.
"""

from collections.abc import Iterator
from pathlib import Path

import typer

from coincast.audit import FAULTS
from coincast.cli import app
from coincast.exchanges.venues import VENUES
from coincast.external import OUTSIDE, REFUSED
from coincast.features import FEATURES
from coincast.models import COMBINERS, MODELS, model_named
from coincast.quality import DEFECTS, HARMS
from coincast.terminal import first_sentence

# How a fault comes to light.
WAYS = {"perturbation": "changing bars", "scoring": "scoring", "declaration": "declaration", "conduct": "behaviour"}

HEAD = """# Reference

Written by `docs/make_reference.py` from the program itself.

## Commands

Exit code 0: done. 1: the answer is no (a graded report that fails, a store that is not whole). 2: wrong usage or bad
input, said in three sentences: what was found, why it matters, what to do.
Every command that prints a table takes `--json`.
"""


def commands(group: typer.core.TyperGroup, above: str) -> Iterator[str]:
    """The help of each command, those of a group one by one."""
    for name, command in group.commands.items():
        called = f"{above} {name}"
        if hasattr(command, "commands"):
            yield from commands(command, called)
            continue
        context = typer.Context(command, info_name=called, terminal_width=100, max_content_width=100)
        yield f"### {called}\n\n```\n{command.get_help(context)}\n```\n"


def text() -> str:
    """The whole page."""
    parts = [HEAD, *commands(typer.main.get_command(app), "coincast")]
    parts.append("## Models\n\n| model | what it is | reads | bars of context |\n|---|---|---|---|")
    for name in MODELS:
        kind = model_named(name)
        model = kind()
        reads = ", ".join(model.features)
        parts.append(f"| `{name}` | {first_sentence(kind)} | {reads} | {model.lookback} |")
    parts.append("\n| made of other models | what it is | by default of |\n|---|---|---|")
    for name in COMBINERS:
        kind = model_named(name)
        parts.append(f"| `{name}` | {first_sentence(kind)} | {', '.join(kind().members)} |")
    parts.append("\n## Features\n\n| feature | what it measures | first bars without a value |\n|---|---|---|")
    parts += [f"| `{f.name}` | {f.says} | {f.warm_up} |" for f in FEATURES.values()]
    parts.append("\n## Exchanges\n\n| exchange | bars | history | live |\n|---|---|---|---|")
    parts += [f"| `{v.name}` | {', '.join(v.intervals)} | {v.past} | {v.live} |" for v in VENUES.values()]
    parts.append(
        "\nAny other exchange that ccxt knows can be asked as well; bars it lacks are joined from shorter ones."
    )
    parts.append(
        "\n## Outside series\n\n| series | what it is | source | public after | licence |\n|---|---|---|---|---|"
    )
    parts += [f"| `{s.name}` | {s.says} | {s.source} | {s.delay} | {s.licence} |" for s in OUTSIDE.values()]
    parts += [f"\n`{name}` is refused. {why}" for name, why in REFUSED.items()]
    parts.append("\n## Defects\n\nWhat `coincast check` can find.\n")
    parts.append("| defect | what it is | grade | what to do |\n|---|---|---|---|")
    grades = {harm: rule.split(":")[0] for harm, rule in HARMS.items()}
    parts += [f"| {name} | {d.is_} | {grades[d.harm]} | {d.do} |" for name, d in DEFECTS.items()]
    parts.append("\n## Faults\n\nWhat `coincast audit` can find; a remark does not fail it.\n")
    parts.append("| fault | comes to light by | it is | what to do |\n|---|---|---|---|")
    parts += [
        f"| {name}{'' if f.fails else ' (remark)'} | {WAYS[f.shown]} | {f.is_} | {f.do} |" for name, f in FAULTS.items()
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("reference.md").write_text(text())
