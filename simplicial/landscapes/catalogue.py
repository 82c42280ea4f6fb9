"""Landscapes by name, as the command `loss-barcodes analytic NAME` asks for them."""

from reduction.errors import DimensionError, OptionError
from reduction.validation import check_name
from simplicial.landscapes.double_well import double_well
from simplicial.landscapes.gaussian_mixture import gaussian_mixture
from simplicial.landscapes.himmelblau import himmelblau
from simplicial.landscapes.mixture_likelihood import mixture_likelihood
from simplicial.landscapes.mueller_brown import mueller_brown
from simplicial.landscapes.oscillating import ackley, griewank, levy, rastrigin, styblinski_tang
from simplicial.landscapes.simplex_wells import simplex_wells
from simplicial.landscapes.six_hump_camel import six_hump_camel
from simplicial.landscapes.torsions import torsions
from simplicial.landscapes.trigonometric import trigonometric
from simplicial.landscapes.truth.landscape import Landscape
from simplicial.landscapes.xor_network import xor_network

_PLANAR = {
    "himmelblau": himmelblau,
    "muller-brown": mueller_brown,
    "six-hump-camel": six_hump_camel,
    "torsions": torsions,
}
_RANDOM = {
    "gaussian-mixture": gaussian_mixture,
    "trigonometric": trigonometric,
    "mixture-likelihood": mixture_likelihood,
}
_SCALABLE = {
    "double-well": double_well,
    "rastrigin": rastrigin,
    "styblinski-tang": styblinski_tang,
    "levy": levy,
    "ackley": ackley,
    "griewank": griewank,
}
_OTHERS = {"simplex-wells": simplex_wells, "xor-network": xor_network}
_MAKERS = {**_SCALABLE, **_OTHERS, **_PLANAR, **_RANDOM}
NAMES = tuple(_MAKERS)
XOR = 9  # parameters


def by_name(
    name: str, dim: int | None = None, curved: int = 0, *, seed: int | None = None
) -> Landscape:
    """The landscape of that name in R^dim.

    dim     None: 2, or 2 + curved; fixed for the functions of the plane and for xor-network, in R^9
    curved  number of dimensions that bend the manifold of the wells; simplex-wells only
    seed    which of the random functions, or of the data, None: 0; gaussian-mixture, trigonometric
            and mixture-likelihood only
    Raises OptionError for an unknown name or a seed that the function does not take, DimensionError
    where the function has no such dimension.
    """
    check_name(
        "landscape",
        name,
        NAMES,
        error=OptionError,
        rule="a {kind} must be one of {names}, got {name!r}",
        remedy="take one of these",
    )
    if curved and name != "simplex-wells":
        raise DimensionError(
            f"only simplex-wells has curved directions, got curved = {curved} for {name}: "
            "leave it at 0"
        )
    if name in _RANDOM:
        return _RANDOM[name](seed=0 if seed is None else seed, dim=2 if dim is None else dim)
    if seed is not None:
        raise OptionError(
            f"only {', '.join(_RANDOM)} take a seed, got seed = {seed} for {name}: leave it out"
        )
    if name in _PLANAR:
        if dim not in (None, 2):
            raise DimensionError(
                f"{name} is a function of the plane, its dimension is 2, got {dim}: leave it out, "
                "or ask for double-well or simplex-wells"
            )
        return _PLANAR[name]()
    if name == "xor-network":
        if dim not in (None, XOR):
            raise DimensionError(f"{name} has {XOR} parameters, got dimension {dim}: leave it out")
        return xor_network()
    if name in _SCALABLE:
        return _SCALABLE[name](2 if dim is None else dim)
    return _simplex_wells_in(2 + curved if dim is None else dim, curved)


def descriptions() -> dict[str, str]:
    """The first line of what is written on each landscape, by name."""
    return {name: (maker.__doc__ or "").split("\n")[0] for name, maker in _MAKERS.items()}


def _simplex_wells_in(dim: int, curved: int) -> Landscape:
    if not 0 <= curved < dim:
        raise DimensionError(
            f"simplex-wells in R^{dim} can have 0 to {dim - 1} curved directions, got {curved}: "
            "the others hold the wells, and there must be one at least"
        )
    return simplex_wells(dim - curved, curved)
