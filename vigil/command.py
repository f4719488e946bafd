"""What every command does besides its work: read `--params`, and end in one line when it fails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    _run(main, _parser(description, arguments).parse_args())


@dataclass(frozen=True)
class Action:
    """One thing that a command with several can do.

    Attributes:
        name: on the command line.
        help: one line.
        main: receives the configuration, the paths and the parsed arguments.
        arguments: see `run`.
    """

    name: str
    help: str
    main: Callable[[Config, Paths, argparse.Namespace], None]
    arguments: tuple[tuple[str, dict[str, object]], ...] = ()


def run_actions(description: str | None, actions: Sequence[Action]) -> None:
    """Run the action that the command line names; see `run`.

    Args:
        description: shown by `--help`, above a line for each action.
        actions: what there is.
    """
    parser = _parser(description, ())
    choices = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action in actions:
        one = choices.add_parser(action.name, help=action.help, description=action.help)
        for flag, options in action.arguments:
            one.add_argument(flag, **options)  # type: ignore[arg-type]
    parsed = parser.parse_args()
    _run(next(action.main for action in actions if action.name == parsed.action), parsed)


def _parser(
    description: str | None, arguments: Sequence[tuple[str, dict[str, object]]]
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--params", default="params.yaml", help="parameter file")
    for flag, options in arguments:
        parser.add_argument(flag, **options)  # type: ignore[arg-type]
    return parser


def _run(
    main: Callable[[Config, Paths, argparse.Namespace], None], parsed: argparse.Namespace
) -> None:
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
