"""Commands for more than one machine or one product."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from protores.cli.words import Runtime, app, on_console

Ray = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS", help="A Ray cluster, e.g. auto. (default: this machine)")
]


@app.command()
def score(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that export wrote.")],
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder, or a URL of fsspec: s3://..., zip::FILE.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the Parquet files.")],
    ray: Ray = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, each with the network in memory. (default: as CPUs allow)")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of each worker.")] = 1,
    shard_size: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Images per Parquet file. (default: 1000)")
    ] = None,
    runtime: Runtime = None,
) -> None:
    """Score an archive of images into Parquet on one machine or many; the same command goes on where it was cut off."""
    from protores.archive.scoring import score as score_archive

    with on_console("the same command goes on from there") as progress:
        scored = score_archive(bundle, source, out, ray, workers, threads, shard_size, runtime, progress)
    print("\n".join(scored.lines()))
    if unreadable := scored.counts.unreadable:
        print(f"protores: {unreadable:,} images cannot be read, see the column error in {out}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def fleet(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV: product, data, preset, seed, any settings.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the runs, their reports and the overview.")],
    ray: Ray = None,
    cpus_per_row: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Of a training. (default: 1, or those that fall to its GPU)")
    ] = None,
    gpus_per_row: Annotated[
        float | None,
        typer.Option(min=0, metavar="SHARE", help="Of a training, e.g. 0.5. (default: 1 where there is one)"),
    ] = None,
) -> None:
    """Train many products with their seeds on one machine or many; the same command goes on where it was cut off."""
    from protores.fleet.fleet import fleet as train_fleet

    with on_console("the same command goes on from there") as progress:
        summary = train_fleet(table, out, ray, cpus_per_row, gpus_per_row, progress)
    print("\n".join(summary.lines()))
    print(f"overview  {out / 'overview.html'}")
    if summary.failed:
        raise typer.Exit(1)
