"""The command `zoo`, which `python -m microzoo` is too: what an error, a missing letter and Ctrl-C become."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

import typer

from microzoo.cli import INTERRUPTED, app
from microzoo.errors import MicrozooError


def main() -> None:
    """Entry point of the `zoo` script: an error of the user's is one line and exit 1; Ctrl-C is exit 130."""
    if os.name == "nt":
        typer.echo("zoo: Windows is not supported; use the Windows Subsystem for Linux", err=True)
        sys.exit(1)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, TextIOWrapper
        ):  # a name that the terminal's encoding lacks is escaped instead of ending the command
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except MicrozooError as error:
        typer.echo(f"zoo: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        typer.echo(f"zoo: {error}; nothing finished is lost, mend it and run the same command again", err=True)
        sys.exit(1)
    except SystemExit as error:
        if error.code == INTERRUPTED:
            typer.echo("\nzoo: stopped; everything finished is kept, the same command goes on from there", err=True)
        raise


if __name__ == "__main__":
    main()
