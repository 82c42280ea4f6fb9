"""Tables for pandas, which is loaded when one is asked for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reduction.errors import OptionError

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(columns: Mapping[str, Any]) -> "DataFrame":
    """Columns of one length by name. Raises OptionError where there is no pandas."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise OptionError(
            f"to_pandas needs pandas, which cannot be imported ({error}): pip install pandas"
        ) from error
    return DataFrame(dict(columns))
