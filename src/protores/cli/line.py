"""Commands that take a run to the line: a bundle, its thresholds, its verdicts, its station."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from protores.cli.words import OneProduct, RunFolder, Runtime, Source, Threads, Tile, app, on_console, show


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
    with on_console("the same command goes on from there") as progress:
        predictions = predict(source, images, out, progress, runtime, threads, tiling, pictures)
    for prediction in predictions[:20]:
        verdict = f"{prediction.verdict:<12}" if prediction.verdict else ""
        print(prediction.error or f"{prediction.score:.4f}  {verdict}{prediction.path}")
    if len(predictions) > 20:
        print(f"... and {len(predictions) - 20} more")
    print(f"all in    {out / NAME}")
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

    with on_console() as progress:
        contract = workflow.export(run, out, format, precision, licence, force, progress)
    print(f"bundle    {out}: {contract.model.format}, {contract.model.precision}, map within {contract.golden.bound:g}")
    if contract.model.quantization is not None:
        print("\n".join(contract.model.quantization.lines()))


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that export wrote.")],
    runtime: Runtime = None,
) -> None:
    """Hold a bundle's golden samples against a runtime of this machine; exit code 1 where it fails."""
    from protores.runtime.verify import verify as verify_bundle

    verification = verify_bundle(bundle, runtime)
    print("\n".join(verification.lines()))
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
    product: OneProduct = None,
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
    with on_console() as progress:
        calibration = calibrate_source(source, data, request, progress, product=product)
    print("\n".join(calibration.lines()))


@app.command()
def report(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="FILE", help="HTML file to write.")],
    data: Annotated[Path | None, typer.Option(help="Images to report on; default: the run's own test images.")] = None,
    product: OneProduct = None,
) -> None:
    """Write one HTML page on what to expect: verdict, curves, thresholds to move, every image; it needs no network."""
    from protores.report.page import report as report_on

    with on_console() as progress:
        figures = report_on(source, out, data, progress, product)
    show(figures)
    print(f"report    {out}")


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
    print(f"feedback  {out}: {exported.good} good and {exported.bad} bad images, {exported.masked} with a mask")
