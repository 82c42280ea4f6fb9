"""Persistence pairs by cohomology.

Over a field, the simplices of a filtered complex fall into pairs and a rest: simplex j begins a
class of index dim j, and its partner, one dimension higher, ends it (Barannikov 1994; section 4 of
the paper). Simplices of the rest begin essential classes. Reducing the coboundary matrix gives the
same pairs as reducing the boundary matrix (de Silva, Morozov & Vejdemo-Johansson 2011, "Dualities
in persistent (co)homology"), and here far sooner:

- Clearing (Chen & Kerber 2011, "Persistent homology computation with a twist"; for cohomology Bauer
  2021, "Ripser", section 3): an r-simplex that ends a class of index r - 1 begins none, so its
  column would reduce to zero. Taking the indices upwards, its column is left out.
- In the coboundary of an r-simplex most pivots are free at once (Bauer 2021, section 3.5: emergent
  pairs).

The order is total (value, dimension, colexicographic position; the paper leaves ties open), so the
pairs are unique. Any correct reduction finds the same: `implicit` for complete complexes, and
`explicit` for all others.
"""

from reduction.filtrations.filtration import Filtration
from reduction.filtrations.simplices import Complete
from reduction.persistence.explicit import explicit_pairings
from reduction.persistence.implicit import implicit_pairings
from reduction.persistence.pairs import Pairing


def pairings(filtration: Filtration, field: int, max_index: int) -> list[Pairing]:
    """The persistence pairs of the indices 0..max_index."""
    if isinstance(filtration.simplices, Complete):
        return implicit_pairings(filtration.simplices, filtration.values, field, max_index)
    return explicit_pairings(filtration, field, max_index)
