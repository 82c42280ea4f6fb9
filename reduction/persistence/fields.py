"""Coefficient fields: Z/p for a prime p."""

from math import isqrt
from operator import index

from reduction.errors import FieldError


def prime(field: int) -> int:
    """`field` as a Python int, if it is a prime below 2**31.

    The bound keeps (p - 1)**2 + p - 1, the largest number that a reduction meets, below 2**63.
    Raises FieldError.
    """
    try:
        p = index(field)
    except TypeError:
        p = 0
    if not (2 <= p < 2**31 and all(p % d for d in range(2, isqrt(p) + 1))):
        raise FieldError(
            f"coefficients lie in Z/p for a prime p < 2**31, but field is {field!r}; "
            "give 2, 3 or another prime"
        )
    return p
