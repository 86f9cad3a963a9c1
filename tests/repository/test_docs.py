"""The Python blocks of the README and of docs/ run, their links lead somewhere, and their formulas are LaTeX."""

import importlib
import inspect
import pydoc
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

ROOT = Path(__file__).parents[2]
BUILT = {"_build", "gallery", "generated"}
PAGES = [ROOT / "README.md"] + [
    page for page in sorted((ROOT / "docs").rglob("*.md")) if not BUILT & set(page.relative_to(ROOT / "docs").parts)
]
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n\n```\n(?P<printed>.*?)^```$)?", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(?P<language>\S*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
SLOW = {ROOT / "docs" / "guide" / page for page in ("choosing.md", "regularisation.md")}  # compare many settings


def each_page(slow=frozenset()):
    pages = [pytest.param(page, marks=pytest.mark.slow) if page in slow else page for page in PAGES]
    return pytest.mark.parametrize("page", pages, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@each_page(SLOW)
def test_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other in one namespace, and print what the block after them shows.

    What depends on the machine, such as a time, is shown in a block of "text", which is not compared.
    """
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text[: block.start("code")].count("\n")
        with redirect_stdout(StringIO()) as printed:
            exec(compile("\n" * line + block["code"], str(page), "exec"), namespace)
        if block["printed"] is not None:
            assert_nearly_the_same(printed.getvalue(), block["printed"])


def assert_nearly_the_same(found, shown):
    """Up to blanks, and to the differences that another processor makes in scores."""
    assert NUMBER.sub("#", found).split() == NUMBER.sub("#", shown).split()
    numbers = [[float(number.replace(",", "")) for number in NUMBER.findall(text)] for text in (found, shown)]
    np.testing.assert_allclose(*numbers, rtol=0.1, atol=0.011)


@each_page()
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if target.startswith("http"):
            continue
        path = page.parent / target
        assert path.exists(), target


@each_page()
def test_formulas_are_latex(page):
    """Row by row, as Matplotlib does not know the environments: no unknown command, and each brace has its partner."""
    text = page.read_text()
    rows = re.findall(r"\$([^$]+)\$", re.sub(r"`[^`]*`", "", FENCE.sub("", text)))
    for block in FENCE.finditer(text):
        if block["language"] == "math":
            rows += re.split(r"\\\\|&|\\(?:begin|end)\{\w+\}", block["text"])
    for row in filter(str.strip, rows):
        MathTextParser("path").parse(f"${' '.join(row.split())}$")


def test_names_that_the_inventories_hold_exist():
    importlib.import_module("sklearn.experimental.enable_halving_search_cv")
    for inventory in ROOT.glob("docs/inventories/*.inv"):
        for line in inventory.read_text().splitlines()[3:]:
            name, kind, _ = line.split()
            found = pydoc.locate(name)
            assert inspect.ismodule(found) if kind == "mod" else callable(found), name
