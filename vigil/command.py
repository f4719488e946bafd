"""What every command does besides its work: read `--params`, and end in one line when it fails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from vigil.config import Config, load
from vigil.errors import VigilError
from vigil.paths import Paths


def run(
    main: Callable[[Config, Paths, argparse.Namespace], None],
    description: str | None,
    *arguments: tuple[str, dict[str, object]],
) -> None:
    """Run a command's `main` with its configuration and exit the process.

    An expected error is one line on standard error and the error's exit code; Ctrl-C exits 130.

    Args:
        main: receives the configuration, the paths and the parsed arguments.
        description: shown by `--help`; the command's docstring.
        arguments: further arguments as (flag, keyword arguments of `add_argument`).
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--params", default="params.yaml", help="parameter file")
    for flag, options in arguments:
        parser.add_argument(flag, **options)  # type: ignore[arg-type]
    parsed = parser.parse_args()
    try:
        config, paths = load(parsed.params)
        main(config, paths, parsed)
    except VigilError as error:
        sys.exit(_fail(str(error), error.exit_code))
    except KeyboardInterrupt:
        sys.exit(_fail("interrupted", 130))


def _fail(line: str, code: int) -> int:
    sys.stderr.write(f"{line}\n")
    return code
