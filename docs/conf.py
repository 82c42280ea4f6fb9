"""The documentation's site: `make docs`.

Docstrings are plain text, in which only backticks are markup; rows of a name and, two or more
spaces later, what it is become definitions. Formulas become MathML, which needs no script.
"""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from numpy.typing import ArrayLike
from sphinx.util.typing import stringify_annotation

from simplicial import Loss

project = "loss-barcodes"
html_title = "loss-barcodes"
html_theme = "furo"
html_show_copyright = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "engine/growth.md"]  # a table that engine/speed.md has too
smartquotes = False  # three dots stay three dots
default_role = "py:obj"
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # outputs are those in the notebooks, which a test compares
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True

ROW = re.compile(r"(\S+(?: \S+)*) {2,}(\S.*)")
MARKUP = re.compile(r"([\\*|]|_(?!\w))")
SHORTER = (  # how the code names what Sphinx spells out
    (re.escape(stringify_annotation(ArrayLike, "smart")), "ArrayLike"),
    (r"~numpy\.ndarray\[.*?, ~numpy\.dtype\[~(?:numpy\.)?(\w+)\]\]", r"NDArray[\1]"),
    (re.escape(stringify_annotation(Loss, "smart")), "~simplicial.Loss"),
    (r"dataclasses\.InitVar\[(.*?)\] =", r"\1 ="),
    (r"<function (\w+)>", r"\1"),
    (r"\(\*args, \*\*kwargs\)", ""),  # of a protocol
)


def setup(app: Any) -> None:
    """Put what is below in its place."""
    app.connect("autodoc-process-docstring", lay_out)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip)
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))


def lay_out(
    _app: Any, _kind: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Turn a docstring's rows into definitions, and guard what is no markup."""
    result: list[str] = []
    in_row = False
    for line in lines:
        row = ROW.fullmatch(line)
        if row:
            result += ["", f"``{row[1]}``", f"    {escaped(row[2])}"]
        elif in_row and line.startswith(" "):
            result.append(f"    {escaped(line.strip())}")
        else:
            result += [""] * in_row + [escaped(line.strip())]
        in_row = row is not None or (in_row and line.startswith(" "))
    lines[:] = result


def escaped(text: str) -> str:
    """Text in which only backticks are markup."""
    parts = text.split("`")
    return "`".join(MARKUP.sub(r"\\\1", p) if i % 2 == 0 else p for i, p in enumerate(parts))


def shorten(
    _app: Any,
    _kind: str,
    _name: str,
    _object: Any,
    _options: Any,
    arguments: str | None,
    result: str | None,
) -> tuple[str, str] | None:
    """Name the types of a signature as the code does."""
    if arguments is None:
        return None
    for long, short in SHORTER:
        arguments, result = (re.sub(long, short, text or "") for text in (arguments, result))
    return arguments, result or ""


def skip(
    _app: Any, _kind: str, _name: str, member: Any, _skipped: bool, _options: Any
) -> bool | None:
    """Leave out fields of named tuples, which the rows of their class explain."""
    return True if str(getattr(member, "__doc__", "")).startswith("Alias for field") else None


def inline_formula(writer: Any, node: nodes.math) -> None:
    """Write $...$."""
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def formula(writer: Any, node: nodes.math_block) -> None:
    """Write $$...$$."""
    writer.body.append(f"<div class='math'>{tex2mathml(node.astext(), as_block=True)}</div>")
    raise nodes.SkipNode
