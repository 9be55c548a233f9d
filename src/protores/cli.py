"""Words into calls of workflow.py. Heavy imports stay inside the commands, so that --help is instant."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from protores.errors import ProtoresError

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
Preset = Annotated[str, typer.Option(help="quick, standard or paper.")]
Weights = Annotated[str | None, typer.Option(metavar="imagenet|random|FILE", help="Start of the backbone.")]
Textures = Annotated[Path | None, typer.Option(metavar="DIR", help="Images that fill simulated anomalies.")]
Seen = Annotated[
    int | None, typer.Option(min=0, help="Defect images that training may see. (default: 10, or half of them)")
]
SeenKinds = Annotated[str | None, typer.Option(metavar="A,B", help="Kinds they are drawn from; others stay unseen.")]
Add = Annotated[
    list[Path] | None, typer.Option(metavar="DIR", help="Folder of corrected images that train too; may be repeated.")
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
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Go on without images that cannot be read.")]


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("demo")) -> None:
    """Draw a toy product, train on it, judge it: the main job from nothing, offline."""
    from protores import workflow

    with _progress() as progress:
        figures = workflow.demo(out, progress)
    _show(figures)
    for what, name in (("results", "results.png"), ("figures", "metrics.json"), ("preview", "preview.png")):
        _say(f"{what}   {out / 'run' / name}")


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

    with _progress() as progress:
        findings = inspect(data, DataSettings(), progress=lambda a, b: progress.track("reading images", a, b))
        if run is not None:
            from protores.suspects import with_suspects

            findings = with_suspects(findings, run, progress)
    _say(dumps(findings.to_json(), indent=2) if json else "\n".join(findings.lines()))
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

    overrides = _overrides(set_, textures=textures, seen=seen, seen_kinds=seen_kinds, add=add, seed=seed)
    with _progress() as progress:
        workflow.preview(data, out, overrides=overrides, skip_bad=skip_bad, progress=progress)
    _say(f"preview   {out}")


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder to write the run to.")],
    preset: Preset = "standard",
    weights: Weights = None,
    textures: Textures = None,
    seen: Seen = None,
    seen_kinds: SeenKinds = None,
    add: Add = None,
    seed: Seed = None,
    minutes: Annotated[float | None, typer.Option(help="Plan the schedule to end in this time.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    skip_bad: SkipBad = False,
    set_: Set = None,
) -> None:
    """Train on a folder of images and judge the result on its test images."""
    from protores import workflow

    overrides = _overrides(
        set_,
        weights=weights,
        textures=textures,
        seen=seen,
        seen_kinds=seen_kinds,
        add=add,
        seed=seed,
        minutes=minutes,
    )
    with _progress() as progress:
        figures = workflow.train(data, out, preset, overrides, resume, skip_bad, progress)
    _show(figures)
    _say(f"results   {out / 'results.png'}\nfigures   {out / 'metrics.json'}")


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[
        Path | None, typer.Option(help="Another folder to judge on; default: the run's own test images.")
    ] = None,
) -> None:
    """Judge a run on its test images, or on another folder."""
    from protores import workflow

    with _progress() as progress:
        figures = workflow.evaluate(run, data, progress)
    _show(figures)


@app.command()
def reproduce(run: RunFolder) -> None:
    """Train a run again in a temporary folder, and say whether the same bits come out; exit code 1 where not."""
    from protores.reproduction import reproduce as reproduce_run

    with _progress("nothing was changed") as progress:
        reproduction = reproduce_run(run, progress)
    _say("\n".join(reproduction.lines()))
    if not reproduction.is_exact:
        raise typer.Exit(1)


@app.command()
def predict(
    source: Annotated[Path, typer.Argument(metavar="BUNDLE|RUN", help="Folder that export or train wrote.")],
    images: Annotated[list[str], typer.Argument(metavar="IMAGES...", help="Image files, folders or patterns.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for predictions.jsonl, maps and overlays.")],
    runtime: Runtime = None,
    threads: Threads = None,
    tile: Tile = None,
    pictures: Annotated[bool, typer.Option(help="Write a map and an overlay of each image.")] = True,
) -> None:
    """Score images and outline what is wrong with them; the same command again goes on where it was cut off."""
    from protores.prediction import NAME, predict
    from protores.runtime.view import Tiling

    tiling = None if tile is None else Tiling(tile)
    with _progress("the same command goes on from there") as progress:
        predictions = predict(source, images, out, progress, runtime, threads, tiling, pictures)
    for prediction in predictions[:20]:
        verdict = f"{prediction.verdict:<12}" if prediction.verdict else ""
        _say(prediction.error or f"{prediction.score:.4f}  {verdict}{prediction.path}")
    if len(predictions) > 20:
        _say(f"... and {len(predictions) - 20} more")
    _say(f"all in    {out / NAME}")
    failed = sum(prediction.error is not None for prediction in predictions)
    if failed:
        print(f"protores: {failed} of {len(predictions)} images cannot be read, see {out / NAME}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder to write.")],
    format: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
    precision: Annotated[str, typer.Option(help="f32, int8, or with openvino bf16.")] = "f32",
    licence: Annotated[str | None, typer.Option(metavar="TEXT", help="Of the backbone's weights.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Export int8 whatever it costs.")] = False,
) -> None:
    """Make a bundle for the line of a run: the network, contract.json, golden samples."""
    from protores import workflow

    with _progress() as progress:
        contract = workflow.export(run, out, format, precision, licence, force, progress)
    _say(f"bundle    {out}: {contract.model.format}, {contract.model.precision}, map within {contract.golden.bound:g}")
    if contract.model.quantization is not None:
        _say("\n".join(contract.model.quantization.lines()))


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that export wrote.")],
    runtime: Runtime = None,
) -> None:
    """Hold a bundle's golden samples against a runtime of this machine; exit code 1 where it fails."""
    from protores.runtime.verify import verify as verify_bundle

    verification = verify_bundle(bundle, runtime)
    _say("\n".join(verification.lines()))
    if not verification.passed:
        raise typer.Exit(1)


@app.command()
def calibrate(
    source: Source,
    data: Annotated[
        Path | None, typer.Option(help="Images that trained and tested nothing; default: the run's calibration part.")
    ] = None,
    max_false_alarm: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Good parts that may be called bad; usually 0.02.")
    ] = None,
    max_miss: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Defective parts that may be called good; usually 0.01.")
    ] = None,
    cost_miss: Annotated[float | None, typer.Option(help="Of a defective part called good, instead.")] = None,
    cost_false_alarm: Annotated[float | None, typer.Option(help="Of a good part called bad.")] = None,
    cost_look: Annotated[float | None, typer.Option(help="Of a person's second look; without it nobody looks.")] = None,
    defect_rate: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Defective ones among the parts to come; else as in DATA.")
    ] = None,
    good_below: Annotated[float | None, typer.Option(metavar="SCORE", help="This threshold by hand, instead.")] = None,
    bad_above: Annotated[float | None, typer.Option(metavar="SCORE", help="And this one.")] = None,
    map_threshold: Annotated[float | None, typer.Option(help="Map value from which on regions are outlined.")] = None,
    min_area: Annotated[float | None, typer.Option(help="Least region that counts: px, or mm² with a scale.")] = None,
    mm_per_px: Annotated[float | None, typer.Option(help="Side of a pixel of the original image.")] = None,
    ignore: Annotated[Path | None, typer.Option(metavar="IMAGE", help="Where it is not 0 nothing counts.")] = None,
    roi: Annotated[Path | None, typer.Option(metavar="IMAGE", help="Only where it is not 0 anything counts.")] = None,
) -> None:
    """Set what is good, bad, or to be looked at again, with the error rates to expect; no training, no export."""
    from protores.decision.calibration import calibrate as calibrate_source
    from protores.decision.request import Request

    request = Request(
        max_miss=max_miss,
        max_false_alarm=max_false_alarm,
        cost_miss=cost_miss,
        cost_false_alarm=cost_false_alarm,
        cost_look=cost_look,
        defect_rate=defect_rate,
        good_below=good_below,
        bad_above=bad_above,
        map_threshold=map_threshold,
        min_area=min_area,
        mm_per_px=mm_per_px,
        ignore=ignore,
        roi=roi,
    )
    with _progress() as progress:
        calibration = calibrate_source(source, data, request, progress)
    _say("\n".join(calibration.lines()))


@app.command()
def report(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="FILE", help="HTML file to write.")],
    data: Annotated[Path | None, typer.Option(help="Images to report on; default: the run's own test images.")] = None,
) -> None:
    """Write one HTML page on what to expect: verdict, curves, thresholds to move, every image; it needs no network."""
    from protores.report.page import report as report_on

    with _progress() as progress:
        figures = report_on(source, out, data, progress)
    _show(figures)
    _say(f"report    {out}")


@app.command()
def serve(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that export wrote.")],
    host: Annotated[str, typer.Option(help="To listen on; beyond this machine it needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    store: Annotated[Path, typer.Option(metavar="DIR", help="Folder for all that is kept.")] = Path("station"),
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the token that clients have to send.")
    ] = None,
    runtime: Runtime = None,
    threads: Threads = None,
    max_upload_mb: Annotated[float, typer.Option(help="Most MB in one request.")] = 32,
    max_megapixels: Annotated[float, typer.Option(help="Most megapixels in one image.")] = 64,
    queue: Annotated[int, typer.Option(min=1, help="Most images that wait for a verdict.")] = 64,
    keep_days: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Forget older verdicts that nobody judged. (default: never)")
    ] = None,
) -> None:
    """Inspect over HTTP, with a page for people: verdicts, heat maps, corrections."""
    from protores.station.limits import Limits
    from protores.station.server import serve as serve_bundle

    def started(address: str) -> None:
        print(f"protores: inspecting at {address}, store {store}; Ctrl-C stops", flush=True)

    limits = Limits(max_upload_mb, max_megapixels, queue, keep_days)
    serve_bundle(bundle, store, host, port, token_file, limits, runtime, threads, started)


@app.command()
def feedback(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder that serve keeps its verdicts in.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Data folder to write.")],
) -> None:
    """Write what people said about verdicts as a data folder, for `protores train --add`."""
    from protores.station.feedback import export_feedback

    exported = export_feedback(store, out)
    _say(f"feedback  {out}: {exported.good} good and {exported.bad} bad images, {exported.masked} with a mask")


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
    with _progress("nothing was written") as progress:
        imported = import_masks(
            tool, source, out, images, Rules(names[0], names[1], good_if_empty, line_width, skip_bad), progress
        )
    _say("\n".join(imported.lines()))


def main() -> None:
    """The command `protores`: a ProtoresError is one line and exit code 2.

    torch's threads are told to sleep soon while they wait for each other: beside one busy neighbour on 2 cores that
    makes training several times faster (benchmarks/threads.py).
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what is wrong with a file is said in one line of our own
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # file names may hold what no terminal shows
    try:
        app()
    except ProtoresError as error:
        interrupted = type(error).__name__ == "Interrupted"
        print(f"protores: {error}", file=sys.stderr)
        sys.exit(130 if interrupted else 2)
    except ModuleNotFoundError as error:
        extra = next((extra for extra, names in EXTRAS.items() if error.name in names), "train")
        print(f"protores: {error.name} is not installed; pip install 'protores[{extra}]'", file=sys.stderr)
        sys.exit(2)


EXTRAS = {
    "export": ("onnx", "onnxscript", "openvino", "nncf"),
    "station": ("fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client", "anyio"),
}
"""What the extras but `train` install, by the names that are imported."""
OPTIONS = {
    "weights": "model.weights",
    "textures": "synthesis.textures",
    "seen": "split.seen",
    "seen_kinds": "split.seen_kinds",
    "add": "data.add",
    "seed": "seed",
    "minutes": "training.minutes",
}
"""Which setting each option stands for."""


def _overrides(assignments: list[str] | None, **options: Any) -> dict[str, Any]:
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
            raise SettingsError(f"--{option.replace('_', '-')} and --set {key} contradict each other; pass one of them")
        overrides[key] = tuple(value.split(",")) if option == "seen_kinds" else value
    return overrides


@contextmanager
def _progress(stopped: str = "the same command with --resume goes on if training had begun") -> Iterator[Any]:
    """Progress on the console; Ctrl-C, which typer would swallow without a word, is answered here."""
    from protores.console import ConsoleProgress

    try:
        with ConsoleProgress() as progress:
            yield progress
    except KeyboardInterrupt:
        print(f"protores: stopped; {stopped}", file=sys.stderr)
        raise typer.Exit(130) from None


def _say(text: str) -> None:
    print(text)


def _show(figures: Any) -> None:
    from protores.console import show_figures

    show_figures(figures)


if __name__ == "__main__":
    main()
