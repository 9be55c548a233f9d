"""What the commands share: the app, their options, progress on the console, and options as settings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="protores",
    help="Visual inspection that learns from good images and a handful of defects.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[Path, typer.Argument(metavar="DATA", help="MVTec AD, BTAD, DAGM, KolektorSDD2, or good/ and bad/.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder that train wrote.")]
Source = Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="Folder that train or export wrote.")]
Preset = Annotated[str | None, typer.Option(help="quick, standard or paper. (default: standard)")]
Weights = Annotated[str | None, typer.Option(metavar="imagenet|random|FILE", help="Start of the backbone.")]
Textures = Annotated[Path | None, typer.Option(metavar="DIR", help="Images that fill simulated anomalies.")]
Seen = Annotated[
    int | None, typer.Option(min=0, help="Defect images that training may see. (default: 10, or half of them)")
]
SeenKinds = Annotated[str | None, typer.Option(metavar="A,B", help="Kinds they are drawn from; others stay unseen.")]
Add = Annotated[
    list[Path] | None, typer.Option(metavar="DIR", help="Folder of corrected images that train too; may be repeated.")
]
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="RUN", help="Go on from this run's network, by its settings, on a short schedule."),
]
OneProduct = Annotated[
    str | None, typer.Option("--product", metavar="NAME", help="Whose, where the model knows several products.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of everything that is drawn. (default: 0)")]
Runtime = Annotated[str | None, typer.Option(help="openvino or onnxruntime. (default: the fastest there is)")]
Threads = Annotated[int | None, typer.Option(min=1, help="Of the network. (default: all cores)")]
Tile = Annotated[
    float | None, typer.Option(metavar="OVERLAP", help="Cut images into tiles that overlap by this share, e.g. 0.25.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting, e.g. training.steps=500.")
]
Devices = Annotated[int | None, typer.Option(min=1, help="GPUs on each node, or without one processes. (default: 1)")]
Nodes = Annotated[int | None, typer.Option(min=1, help="Machines, each started by torchrun or SLURM. (default: 1)")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Go on without images that cannot be read.")]
OPTIONS = {
    "weights": "model.weights",
    "textures": "synthesis.textures",
    "seen": "split.seen",
    "seen_kinds": "split.seen_kinds",
    "add": "data.add",
    "from_": "training.warm_start",
    "seed": "seed",
    "minutes": "training.minutes",
    "devices": "training.devices",
    "nodes": "training.nodes",
}
"""Which setting each option stands for."""


def overrides_of(assignments: list[str] | None, **options: Any) -> dict[str, Any]:
    """What --set and other options say, by the settings' dotted keys."""
    from protores.errors import SettingsError

    overrides: dict[str, Any] = {}
    for assignment in assignments or []:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError(f"--set {assignment} has no value; write --set key=value")
        overrides[key.strip()] = value.strip()
    for option, value in options.items():
        if value is None:
            continue
        key = OPTIONS[option]
        if key in overrides:
            flag = option.strip("_").replace("_", "-")
            raise SettingsError(f"--{flag} and --set {key} contradict each other; pass one of them")
        overrides[key] = tuple(value.split(",")) if option == "seen_kinds" else value
    return overrides


@contextmanager
def on_console(stopped: str = "the same command with --resume goes on if training had begun") -> Iterator[Any]:
    """Progress on the console; Ctrl-C, which typer would swallow without a word, is answered here."""
    from protores.console import ConsoleProgress

    try:
        with ConsoleProgress() as progress:
            yield progress
    except KeyboardInterrupt:
        print(f"protores: stopped; {stopped}", file=sys.stderr)
        raise typer.Exit(130) from None


def is_first() -> bool:
    """Of several processes that do the same, the first alone prints what came of it."""
    from protores.training.group import is_first

    return is_first()


def show(figures: Any) -> None:
    """Figures as a table."""
    from protores.console import show_figures

    show_figures(figures)
