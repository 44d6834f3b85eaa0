"""The command `zoo`: parse, call, print. No logic, and nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from microzoo.duration import parse_duration

app = typer.Typer(
    name="zoo",
    help="Searches tiny neural networks that truly fit a microcontroller, and publishes them with measured figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help starts in half the time
)

search = typer.Typer(help="Look at searches, running or not.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(search, name="search")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""

ZooOption = Annotated[Path, typer.Option("--out", help="The zoo: one folder per model.", show_default=True)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


class Device(StrEnum):
    """Where networks are trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class SchemaKind(StrEnum):
    """The three kinds of spec."""

    family = "family"
    target = "target"
    dataset = "dataset"


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def build(
    specs: Annotated[list[Path] | None, typer.Argument(help="Spec files, or folders of them. Default: specs/")] = None,
    out: ZooOption = Path("zoo"),
    work: Annotated[Path, typer.Option(help="Search history and scratch; a later build goes on from it.")] = Path("build/work"),
    site: Annotated[Path, typer.Option(help="Where the site is rendered.")] = Path("build/site"),
    budget: Annotated[
        float | None, typer.Option(parser=_duration, metavar="TIME", help="Wall time of the whole build: 90s, 20m, 1h30m.")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where networks are trained.")] = Device.auto,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the specs' own seed.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again even what is up to date.")] = False,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="A new search begins with what others in the work folder trained and what fits it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be built, and build nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build every model of the specs that is not up to date, then render the site."""
    from rich.console import Console

    from microzoo.build import rendering
    from microzoo.build import zoo as stage
    from microzoo.build.job import Places
    from microzoo.console import ConsoleReport
    from microzoo.spec.load import load_jobs

    paths = specs or [Path("specs")]
    jobs = stage.overridden(load_jobs(paths), seed=seed)
    if dry_run:
        _print_plan([(plan, stage.evaluations_done(plan.job, work)) for plan in stage.plan(jobs, out)], as_json=as_json)
        return
    root = rendering.project_root(rendering.specs_folder(paths))
    with ConsoleReport(Console(stderr=as_json)) as report:
        ids, page = stage.build(
            jobs,
            Places(out, work, stage.device_for(device.value)),
            report,
            seconds=budget,
            force=force,
            reuse=reuse,
            render=lambda: rendering.render(root, out, site, report),
        )
    if as_json:
        _print_json({"entries": ids, "site": str(page)})
    else:
        typer.echo(f"site: {page}")


@app.command("list")
def list_entries(out: ZooOption = Path("zoo"), as_json: JsonOption = False) -> None:
    """List the models of the zoo.

    A damaged entry is named and hides no other; exit 1 if there is one.
    """
    from microzoo.catalog.store import refuse, survey
    from microzoo.tables import entry_rows, print_table

    sound, damaged = survey(out)
    rows = entry_rows(sound)
    if as_json:
        _print_json(rows)
    else:
        print_table(f"{len(rows)} models in {out}", rows)
    refuse(damaged)


@app.command()
def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="dataset/target/name")],
    out: ZooOption = Path("zoo"),
    as_json: JsonOption = False,
) -> None:
    """Show every figure of a model, each with how it came about."""
    from microzoo.catalog.store import refuse, survey
    from microzoo.tables import card_tables, print_table

    sound, damaged = survey(out, entry)
    for found in sound:
        if as_json:
            _print_json(found.card.model_dump(mode="json"))
        else:
            for title, rows in card_tables(found.card):
                print_table(title, rows)
    refuse(damaged)


@app.command()
def verify(
    entry: Annotated[str | None, typer.Argument(metavar="[ID]", help="dataset/target/name; default: all")] = None,
    out: ZooOption = Path("zoo"),
    specs: Annotated[Path, typer.Option(help="Folder that holds datasets/.")] = Path("specs"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Without the test split: all but the accuracies. Needs no dataset.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Recompute every published number from the files; exit 1 on any difference."""
    from dataclasses import asdict

    from microzoo.build.verify import verify_zoo
    from microzoo.tables import print_table

    ids, differences = verify_zoo(out, entry, specs, quick=quick)
    faults = [difference for difference in differences if not difference.excused]
    if as_json:
        _print_json({"entries": ids, "differences": [asdict(item) for item in differences]})
    else:
        if differences:
            print_table("differences", [asdict(difference) for difference in differences])
        what = "every number but those of the test split" if quick else "every number"
        typer.echo(f"{len(ids)} entries, {what}: {len(faults)} differences")
    if faults:
        raise typer.Exit(1)


@app.command()
def fetch(
    model: Annotated[str, typer.Argument(metavar="ID[@VERSION]", help="dataset/target/name, and digits of a version.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="URL|DIR",
            help="A published site: its address, or its folder. Default: what MICROZOO_ZOO_URL names.",
        ),
    ] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the model's folder is made, as DIR/ID.")] = Path("models"),
    force: Annotated[bool, typer.Option("--force", help="Replace another version of the model.")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a silent host is waited for.")] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Download a model from a published site; nothing is in place before all checksums agree.

    Run again after an interruption, it goes on from what has come.
    """
    from dataclasses import asdict

    from microzoo.catalog.fetch import default_source
    from microzoo.catalog.fetch import fetch as fetch_entry
    from microzoo.catalog.source import Patience, source_of
    from microzoo.terminal import ByteCount

    patience = Patience(timeout=timeout)
    with ByteCount(sys.stderr, model) as count:
        zoo = source_of(default_source(source, os.environ), patience)
        found = fetch_entry(model, zoo, to, force=force, patience=patience, progress=count)
    if as_json:
        _print_json(asdict(found) | {"folder": str(found.folder)})
    else:
        was = "is there already" if found.already else "fetched"
        typer.echo(
            f"{found.folder}: version {found.version} {was}, {found.files} files, {found.bytes:,} bytes, all checksums agree"
        )


@app.command()
def site(
    out: ZooOption = Path("zoo"),
    specs: Annotated[Path, typer.Option(help="Folder of the specs, beside the site's sources.")] = Path("specs"),
    to: Annotated[Path, typer.Option("--site", help="Where the site is rendered.")] = Path("build/site"),
    previous: Annotated[
        str | None,
        typer.Option(
            metavar="URL|DIR", help="The site that this one replaces, as published: its versions of all models are kept."
        ),
    ] = None,
    versions: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="With --previous: at most N earlier versions of a model. Default: all.")
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve it on this machine until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of --serve.")] = 8000,
) -> None:
    """Render the site from the zoo."""
    from rich.console import Console

    from microzoo.build import rendering
    from microzoo.console import ConsoleReport

    with ConsoleReport(Console()) as report:
        root = rendering.project_root(specs)
        page = rendering.render(root, out, to, report, previous=previous, versions=versions)
    typer.echo(f"site: {page}")
    if serve:
        rendering.serve(to, port, typer.echo)


@app.command()
def schema(
    kind: Annotated[SchemaKind, typer.Argument(help="Which kind of spec.")] = SchemaKind.family,
    write: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write all schemas into this folder instead, for editors.")
    ] = None,
) -> None:
    """Print the JSON Schema of a kind of spec."""
    from microzoo.catalog.files import writing
    from microzoo.spec.schema import SCHEMAS, schema_text

    if write is None:
        typer.echo(schema_text(kind.value), nl=False)
        return
    with writing(write):
        write.mkdir(parents=True, exist_ok=True)
        for name in SCHEMAS:
            (write / f"{name}.json").write_text(schema_text(name), encoding="utf-8")


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, and what is skipped without it."""
    from dataclasses import asdict

    from microzoo.doctor import examine
    from microzoo.tables import print_table

    rows = [asdict(finding) for finding in examine()]
    if as_json:
        _print_json(rows)
    else:
        print_table("this machine", rows)


class PackFormat(StrEnum):
    """What `zoo pack` writes."""

    tflite = "tflite"
    c = "c"
    onnx = "onnx"


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Anybody's .tflite or .onnx.")],
    target: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Judge for this target only; may be repeated.")] = None,
    specs: Annotated[Path, typer.Option(help="Folder that holds targets/.")] = Path("specs"),
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a picture of memory over time.")] = None,
    arena: Annotated[bool, typer.Option(help="Run a .tflite once in TensorFlow Lite Micro for the arena that it takes.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Say what a model needs: operators, memory over time, multiply-accumulates, and which targets it fits."""
    from microzoo.measure.ahead import reader

    with reader(file, arena=arena) as ahead:  # its libraries load beside ours
        from microzoo.build import inspect as stage

        found = stage.inspect_file(file, stage.load_targets(specs, target or ()), arena=arena, ahead=ahead)
    if as_json:
        _print_json(stage.as_json(found))
    else:
        from microzoo.inspection import print_inspection

        print_inspection(found)
    if svg is not None:
        stage.draw(found, svg)
        typer.echo(f"picture: {svg}", err=as_json)


@app.command()
def pack(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Somebody's int8 .tflite or .onnx.")],
    out: Annotated[Path, typer.Option(help="Folder that the files are written to.")] = Path("packed"),
    name: Annotated[str | None, typer.Option(help="Name of the files and of the C symbols. Default: the file's own.")] = None,
    formats: Annotated[
        list[PackFormat] | None,
        typer.Option("--format", help="What to write; may be repeated. Default: tflite, and c where its operators allow."),
    ] = None,
    drop_softmax: Annotated[
        bool, typer.Option("--drop-softmax", help="Leave out a softmax at the end: C and ONNX give logits, not probabilities.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that exist.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Give a model a memory plan of its own, and emit it as C; say what that saves."""
    from microzoo.build import pack as stage

    chosen = [kind.value for kind in formats or ()]
    packed = stage.pack(file, out, name=name, formats=chosen, drop_softmax=drop_softmax, force=force)
    if as_json:
        _print_json(stage.as_json(packed))
    else:
        from microzoo.inspection import print_packed

        print_packed(packed)


@search.command("show")
def search_show(
    specs: Annotated[list[Path] | None, typer.Argument(help="Spec files, or folders of them. Default: specs/")] = None,
    work: Annotated[Path, typer.Option(help="As given to the build.")] = Path("build/work"),
    seed: Annotated[int | None, typer.Option(min=0, help="As given to the build, in place of the specs' own.")] = None,
    svg: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a picture for a browser. Several jobs: a file each, for FILE.svg FILE-dataset-target.svg.",
        ),
    ] = None,
    all_members: Annotated[bool, typer.Option("--all", help="List every member of the front, not only the 20 best.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON instead, every training included.")] = False,
) -> None:
    """Show where the searches of the specs stand: progress, Pareto front, and how accuracy grew.

    Histories are only read: a search that is running goes on undisturbed. Exit 1 if a history is damaged.
    """
    from microzoo.build import show
    from microzoo.tables import print_search

    states = show.survey(specs or [Path("specs")], work, seed=seed)
    if as_json:
        _print_json(show.as_json(states))
    else:
        for state in states:
            print_search(state, all_members=all_members)
    if svg is not None:
        for file in show.draw(states, svg):
            typer.echo(f"picture: {file}", err=as_json)
    if any(state.damaged for state in states):
        raise typer.Exit(1)


def _print_plan(plans: list[tuple[Any, int]], *, as_json: bool) -> None:
    from microzoo.tables import plan_rows, print_table

    rows = plan_rows(plans)
    if as_json:
        _print_json(rows)
    else:
        print_table("plan", rows)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
