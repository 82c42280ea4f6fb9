"""Figures 2 and 3 alike: the loss inside the triangle, networks with shortcuts above those without.

The first seed's triangle; the test error, a mean over the minima, in the title. The triangles are
kept beside the picture as JSON.
"""

from pathlib import Path

from examples.paper.experiment import Experiment, Network
from examples.paper.options import add_picture, options, refuse_with_drawn
from examples.paper.pictures import Triangle, caption, grid, read, write
from reduction import DataError
from simplicial import plot_samples


def main(description: str | None, networks: list[Network], name: str) -> None:
    """Train the missing networks, or read an earlier picture, and draw."""
    parser = options(description)
    add_picture(parser, name)
    parser.add_argument("--drawn", type=Path, help="JSON of an earlier picture: trains nothing")
    given = parser.parse_args()
    refuse_with_drawn(parser, given)
    if given.drawn is None:
        experiment = Experiment.asked_for(given)
        found = experiment.complexes(networks, 1)
        triangles = [
            Triangle.of(caption(experiment, network, built), built)
            for network, (built,) in zip(networks, found, strict=True)
        ]
        write(given.out.with_suffix(".json"), triangles)
    else:
        triangles = read(given.drawn)
        if len(triangles) != len(networks):
            raise DataError(
                f"this figure has {len(networks)} triangles, {given.drawn} has {len(triangles)}: "
                "name the JSON that was written beside it"
            )
    grid(
        [triangle.title for triangle in triangles],
        lambda k, ax: plot_samples(triangles[k].samples, triangles[k].largest, "loss", ax),
        given.out,
    )
