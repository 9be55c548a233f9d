"""Commands that make a run of a folder of images, and look into both."""

from pathlib import Path
from typing import Annotated

import typer

from protores.cli.words import (
    Add,
    Data,
    Devices,
    From,
    Nodes,
    Preset,
    RunFolder,
    Seed,
    Seen,
    SeenKinds,
    Set,
    SkipBad,
    Textures,
    Weights,
    app,
    is_first,
    on_console,
    overrides_of,
    show,
)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("demo")) -> None:
    """Draw a toy product, train on it, judge it: the main job from nothing, offline."""
    from protores import workflow

    with on_console() as progress:
        figures = workflow.demo(out, progress)
    show(figures)
    for what, name in (("results", "results.png"), ("figures", "metrics.json"), ("preview", "preview.png")):
        print(f"{what}   {out / 'run' / name}")


@app.command()
def check(
    data: Data,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A first training on DATA: name defects among its good images.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is found (docs/check.md).")] = False,
) -> None:
    """Say what is in a folder, how it is read, and what is wrong with it; exit code 1 where there are errors."""
    from json import dumps

    from protores.data.check import inspect
    from protores.settings import DataSettings

    with on_console() as progress:
        findings = inspect(data, DataSettings(), progress=lambda a, b: progress.track("reading images", a, b))
        if run is not None:
            from protores.suspects import with_suspects

            findings = with_suspects(findings, run, progress)
    print(dumps(findings.to_json(), indent=2) if json else "\n".join(findings.lines()))
    if findings.has_errors:
        raise typer.Exit(1)


@app.command()
def preview(
    data: Data,
    out: Annotated[Path, typer.Option(help="PNG file to write.")],
    textures: Textures = None,
    seen: Seen = None,
    seen_kinds: SeenKinds = None,
    add: Add = None,
    seed: Seed = None,
    skip_bad: SkipBad = False,
    set_: Set = None,
) -> None:
    """Draw a contact sheet: images, foreground, simulated and extended anomalies with their masks."""
    from protores import workflow

    overrides = overrides_of(set_, textures=textures, seen=seen, seen_kinds=seen_kinds, add=add, seed=seed)
    with on_console() as progress:
        workflow.preview(data, out, overrides=overrides, skip_bad=skip_bad, progress=progress)
    print(f"preview   {out}")


@app.command()
def train(
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="A product's folder; with --multi several.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to write the run to.")],
    preset: Preset = None,
    weights: Weights = None,
    textures: Textures = None,
    seen: Seen = None,
    seen_kinds: SeenKinds = None,
    add: Add = None,
    from_: From = None,
    seed: Seed = None,
    minutes: Annotated[float | None, typer.Option(help="Plan the schedule to end in this time.")] = None,
    multi: Annotated[
        bool, typer.Option("--multi", help="One network for several products: DATA are they, or hold them.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    devices: Devices = None,
    nodes: Nodes = None,
    skip_bad: SkipBad = False,
    set_: Set = None,
) -> None:
    """Train on a folder of images and judge the result on its test images."""
    from protores import workflow

    overrides = overrides_of(
        set_,
        weights=weights,
        textures=textures,
        seen=seen,
        seen_kinds=seen_kinds,
        add=add,
        from_=from_,
        seed=seed,
        minutes=minutes,
        devices=devices,
        nodes=nodes,
    )
    with on_console() as progress:
        figures = workflow.train(_products(data, multi), out, preset, overrides, resume, skip_bad, progress)
    if is_first():
        show(figures)
        print(f"results   {out / 'results.png'}\nfigures   {out / 'metrics.json'}")


def _products(data: list[Path], multi: bool) -> Path | tuple[Path, ...]:
    """The folder of one product, or those of several."""
    from protores.errors import SettingsError
    from protores.products import product_folders

    if multi:
        return product_folders(data)
    if len(data) > 1:
        raise SettingsError(f"{len(data)} folders are several products; name one, or pass --multi to train one network")
    return data[0]


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[
        Path | None, typer.Option(help="Another folder to judge on; default: the run's own test images.")
    ] = None,
    devices: Devices = None,
    nodes: Nodes = None,
) -> None:
    """Judge a run on its test images, or on another folder."""
    from protores import workflow

    with on_console() as progress:
        figures = workflow.evaluate(run, data, progress, devices or 1, nodes or 1)
    if is_first():
        show(figures)


@app.command()
def reproduce(run: RunFolder) -> None:
    """Train a run again in a temporary folder, and say whether the same bits come out; exit code 1 where not."""
    from protores.reproduction import reproduce as reproduce_run

    with on_console("nothing was changed") as progress:
        reproduction = reproduce_run(run, progress)
    if is_first():
        print("\n".join(reproduction.lines()))
        raise typer.Exit(0 if reproduction.is_exact else 1)


@app.command("import-masks")
def import_masks(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="What the tool exported: file, folder or zip.")],
    tool: Annotated[str, typer.Option("--from", metavar="TOOL", help="labelme, coco, cvat or labelstudio.")],
    out: Annotated[Path, typer.Option(metavar="DATA", help="Folder to write: good/, bad/ and masks/.")],
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the images are, if not in SRC.")] = None,
    good_labels: Annotated[str, typer.Option(metavar="A,B", help="Labels that say an image is good.")] = "good,ok",
    ignore_labels: Annotated[str, typer.Option(metavar="A,B", help="Labels that mark no defect.")] = "",
    good_if_empty: Annotated[bool, typer.Option("--good-if-empty", help="Images without labels are good.")] = False,
    line_width: Annotated[float, typer.Option(min=1, help="Of lines and points, in pixels.")] = 3.0,
    skip_bad: SkipBad = False,
) -> None:
    """Make a data folder of images that were labelled elsewhere, with their masks."""
    from protores.labels.importing import Rules, import_masks

    names = [tuple(filter(None, labels.split(","))) for labels in (good_labels, ignore_labels)]
    with on_console("nothing was written") as progress:
        imported = import_masks(
            tool, source, out, images, Rules(names[0], names[1], good_if_empty, line_width, skip_bad), progress
        )
    print("\n".join(imported.lines()))
