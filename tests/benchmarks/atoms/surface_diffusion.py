"""Barriers of an atom that hops on Al(100), by ASE's EMT: beside ASE's climbing-image NEB, with the
force calls of both.

The surface, its two ends and the stopping rule are those of ASE's tutorial on surface diffusion:
two layers of aluminium of three are held, the ends are relaxed by QuasiNewton. The calls of the
ends' relaxations are those of both and not counted; those of a path are, one for each image at each
step. ASE's path begins as the straight line, by BFGS. Ours has two segments, so that one point
climbs, and is measured at its control points; the number of its steps is given beforehand.

    python tests/benchmarks/atoms/surface_diffusion.py
"""

import argparse
import sys
from importlib import import_module
from typing import Any, NamedTuple

import torch

from simplicial import Minima, NudgedElastic, build_complex, from_ase

ADATOMS = ("Au", "Al")
STEPS = {0.05: 16, 1e-4: 32}  # force in eV/Å at which ASE stops -> steps of our path
IMAGES = (1, 3, 5)  # of ASE's path between its ends; the tutorial has 3
HEIGHT, VACUUM = 1.7, 4.0  # Å


class Calls:
    """Calculators that count their calculations together."""

    def __init__(self) -> None:
        self.count = 0

    def calculator(self) -> Any:
        """EMT, counted."""
        from ase.calculators.emt import EMT

        emt = EMT()
        calculate = emt.calculate

        def counted(*given: Any, **options: Any) -> None:
            self.count += 1
            calculate(*given, **options)

        emt.calculate = counted
        return emt


class Row(NamedTuple):
    """A barrier in eV, and the force calls it took."""

    barrier: float
    calls: int


def ends(adatom: str, force: float) -> list[Any]:
    """The atom in a hollow, and in the next, relaxed to a largest force in eV/Å."""
    from ase.build import add_adsorbate, fcc100
    from ase.calculators.emt import EMT
    from ase.constraints import FixAtoms

    optimize: Any = import_module("ase.optimize")
    slab = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(slab, adatom, HEIGHT, "hollow")
    slab.center(axis=2, vacuum=VACUUM)
    slab.set_constraint(FixAtoms(mask=[atom.tag > 1 for atom in slab]))
    found = []
    for shift in (0.0, slab.cell.array[0, 0] / 2):
        atoms = slab.copy()
        atoms.positions[-1, 0] += shift
        atoms.calc = EMT()
        optimize.QuasiNewton(atoms, logfile=None).run(fmax=force)
        found.append(atoms)
    return found


def by_ase(pair: list[Any], force: float, images: int) -> Row:
    """ASE's climbing-image NEB."""
    from ase.mep import NEB

    optimize: Any = import_module("ase.optimize")
    calls = Calls()
    path = [pair[0], *(pair[0].copy() for _ in range(images)), pair[1]]
    for image in path[1:-1]:
        image.calc = calls.calculator()
    band = NEB(path, climb=True, method="improvedtangent")
    band.interpolate()
    optimize.BFGS(band, logfile=None).run(fmax=force, steps=1000)
    energies = [image.get_potential_energy() for image in path]
    return Row(max(energies) - energies[0], calls.count)


def by_us(pair: list[Any], steps: int, *, certify: bool = False) -> Row:
    """A path of two segments."""
    calls, atoms = Calls(), pair[0].copy()
    atoms.calc = calls.calculator()
    loss = from_ase(atoms)
    complex = build_complex(
        Minima(torch.stack([loss.point(end) for end in pair]), loss),
        1,
        optimizer=NudgedElastic(segments=2, steps=steps, mend=False),
        resolution=2,
        tolerance=None,
        certify=certify,
        progress=False,
    )
    if certify:
        assert complex.certificates is not None
        print(f"certified: {complex.certificates[1].accepted.all()}", file=sys.stderr)
    return Row(float(complex.values[1][0] - complex.values[0][0]), calls.count)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--certify", action="store_true", help="by second derivatives, for long")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("| atom | ASE stops at, eV/Å | path | barrier, eV | force calls |")
    print("|---|---|---|---|---|")
    for adatom in ADATOMS:
        for force, steps in STEPS.items():
            print(f"{adatom}, {force} eV/Å", file=sys.stderr, flush=True)
            pair = ends(adatom, force)
            rows = {f"ASE, {n} image{'s' * (n > 1)}": by_ase(pair, force, n) for n in IMAGES}
            rows[f"ours, {steps} steps"] = by_us(pair, steps, certify=given.certify)
            for name, (barrier, calls) in rows.items():
                print(f"| {adatom} | {force:g} | {name} | {barrier:.6f} | {calls} |")


if __name__ == "__main__":
    main()
