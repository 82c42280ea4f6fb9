"""Options that the commands share."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

NAMES = 28  # characters of an option's name beside its text


class NamedPath(click.Path):
    """A path that is not empty: that would be the working directory."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises BadParameter for an empty one."""
        if not str(value):
            self.fail("a path must not be empty: name a file or folder", param, ctx)
        return super().convert(value, param, ctx)


class GroupedCommand(click.Command):
    """A command whose help lists its options under titles.

    groups  the names of a command's options by title, in the order of the help; --help comes last,
            in the last group
    """

    def __init__(
        self, *arguments: Any, groups: Mapping[str, Sequence[str]], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self.groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in columns of the same width for all groups."""
        options = (option for option in self.get_params(ctx) if isinstance(option, click.Option))
        rows = {option.name: option.get_help_record(ctx) for option in options}
        grouped = {name for group in self.groups.values() for name in group}
        *others, (last, names) = self.groups.items()
        for title, group in (*others, (last, (*names, *(rows.keys() - grouped)))):
            shown = [row for name in group if (row := rows[name]) is not None]
            with formatter.section(title):
                formatter.write_dl([(name.ljust(NAMES), text) for name, text in shown], NAMES)


Command = TypeVar("Command", bound=Callable[..., None])


folder_argument = click.argument("folder", type=NamedPath())

folder_field = click.option(
    "--field", type=int, help="Coefficients Z/p, p prime.  [default: the result's; 2 before it]"
)


def _limits() -> tuple[Callable[[Command], Command], ...]:
    """Options of anytime builds."""
    return (
        click.option(
            "--tolerance-of-bars",
            type=float,
            help="Train only where that can still change a bar by more than this, in units of the"
            " loss: an anytime build, at growing efforts.",
        ),
        click.option(
            "--max-gradients",
            type=int,
            help="Training gradients at most, of mini-batches, of edges, triangles, ...: an anytime"
            " build too.",
        ),
        click.option(
            "--max-seconds",
            type=float,
            help="Seconds for edges, triangles, ..., looked at between chunks; results then depend"
            " on the machine: an anytime build too.",
        ),
    )


def shared_options(command: Command) -> Command:
    """Options of `run` and `analytic` alike."""
    for option in (
        click.option("--seed", default=0, show_default=True, help="Same seed, same result."),
        click.option("--field", default=2, show_default=True, help="Coefficients Z/p, p prime."),
        click.option(
            "--sides",
            type=click.Choice(["fixed", "trainable"]),
            default="fixed",
            show_default=True,
            help="Algorithm 1: whether a triangle trains its sides too (Figure 1).",
        ),
        click.option(
            "--steps",
            type=int,
            help="Most steps of each relaxation of the elastic optimizer.  [default: 200]",
        ),
        click.option(
            "--resolution",
            default=12,
            show_default=True,
            help="Steps along an edge of the lattice on which maxima are sought first.",
        ),
        click.option(
            "--tolerance",
            type=float,
            help="How far below the true one a maximum may be, as a share of the loss's range."
            "  [default: 1e-7]",
        ),
        click.option(
            "--refinement-budget",
            type=int,
            help="Gradients at most that the refined maximum of a simplex takes; where these do not"
            " suffice, it is said what it may be too low by.  [default: 100 for an edge of"
            " networks, 1000 of functions, ten times as many for each dimension more]",
        ),
        click.option(
            "--sampled",
            is_flag=True,
            help="Maxima by Algorithm 2 as printed: the lattice only, so without --tolerance.",
        ),
        *_limits(),
        click.option("--quiet", is_flag=True, help="Nothing on stderr but warnings and errors."),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            help="Print the result as one JSON document, that of run.json; tables go to stderr.",
        ),
    ):
        command = option(command)
    return command
