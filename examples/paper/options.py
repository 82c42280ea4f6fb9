"""Options of the paper's scripts, and how a wrong one is refused."""

import argparse
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase

from examples.paper.cell import Way
from examples.paper.experiment import SCALES
from nets.execution import PRECISIONS
from reduction import TopologyError


def options(description: str | None) -> argparse.ArgumentParser:
    """The parser of the options that all scripts share."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    add_scale(
        parser,
        SCALES,
        "small: 2,000 images of FashionMNIST at 8 x 8 pixels, 8 epochs; medium: 10,000 at "
        "12 x 12, a day on two cores; paper: CIFAR-10, 300 epochs, for a GPU",
    )
    add_folder(parser, "runs/paper")
    add_data(parser)
    add_precision(parser)
    return parser


def add_way(parser: argparse.ArgumentParser) -> None:
    """Options of how the simplices of a figure were found."""
    parser.add_argument(
        "--optimizer",
        choices=("algorithm-1", "minimax"),
        default="algorithm-1",
        help="of the simplices (algorithm-1, the paper's)",
    )
    parser.add_argument(
        "--objective",
        choices=("plain", "penalised"),
        default="plain",
        help="the loss without or with the penalty of the weights (plain)",
    )


def way(given: argparse.Namespace) -> Way:
    """How the simplices were found, by the options of `add_way`."""
    return Way(given.optimizer, given.objective)


def add_scale(parser: argparse.ArgumentParser, scales: Collection[str], larger: str) -> None:
    """The option of the scale; `larger` tells of scales beyond the trial."""
    parser.add_argument(
        "--scale",
        choices=scales,
        default="smoke",
        help=f"smoke: 64 images of digits, a trial (the default); {larger}",
    )


def add_folder(parser: argparse.ArgumentParser, default: str) -> None:
    """The option of the folder of trained complexes."""
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(default),
        help=f"where complexes are kept and, once trained, read again ({default})",
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Options of the images."""
    parser.add_argument("--data-dir", type=Path, help="folder of the data set's files")
    parser.add_argument("--download", action="store_true", help="fetch them into it first")


def add_precision(parser: argparse.ArgumentParser) -> None:
    """The option of the arithmetic of training."""
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="full",
        help="of training; losses that enter a barcode are float32 either way (full)",
    )


def refuse_with_drawn(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse options of training where nothing is trained, and a file that is not there."""
    if given.drawn is None:
        return
    for name, value in vars(given).items():
        if name not in ("drawn", "out") and value != parser.get_default(name):
            option = name.replace("_", "-")
            parser.error(f"--drawn trains nothing, got --{option} {value} with it: leave one out")
    if not given.drawn.is_file():
        parser.error(f"--drawn is the JSON beside an earlier picture, {given.drawn} is no file")


def add_picture(parser: argparse.ArgumentParser, default: str) -> None:
    """The option of the picture's file."""
    parser.add_argument(
        "--out", type=_picture, default=Path(default), help=f"the picture ({default})"
    )


def _picture(text: str) -> Path:
    """The path of a picture, refused before anything is trained for it."""
    path, kinds = Path(text), sorted(FigureCanvasBase.get_supported_filetypes())
    if path.is_dir() or path.suffix[1:].lower() not in kinds:
        raise argparse.ArgumentTypeError(
            f"a picture's name ends in .png, .svg or the like, got {text}: choose one of "
            f"{', '.join(kinds)}"
        )
    return path


def in_a_sentence(main: Callable[[], None]) -> None:
    """Call main; show an error of its input as one sentence, without a traceback."""
    try:
        main()
    except TopologyError as error:
        sys.exit(f"Error: {error}")
    except OSError as error:
        sys.exit(f"Error: {error.filename or 'a file'}: {error.strerror or error}")
