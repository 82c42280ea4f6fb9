"""The barrier of a hop on a surface is that of ASE's climbing-image NEB, at fewer force calls."""

import pytest

from tests.benchmarks.atoms.surface_diffusion import STEPS, by_ase, by_us, ends

pytestmark = pytest.mark.ecosystem


@pytest.mark.parametrize("force", STEPS)
def test_an_atom_of_gold_hops_over_ases_barrier_at_fewer_calls(force: float) -> None:
    """Force calls of the path of ASE's tutorial, three images: about 54, and 177 converged."""
    pair = ends("Au", force)
    ase, ours = by_ase(pair, force, 3), by_us(pair, STEPS[force])
    assert ours.barrier == pytest.approx(ase.barrier, abs=1e-3)
    assert 10 < ours.calls < ase.calls
    assert ase.barrier == pytest.approx(0.374, abs=1e-3)  # the tutorial's
