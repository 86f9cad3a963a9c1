"""The Python blocks of the README and of docs/: they run, and what they quote from the source is still there."""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python(?: source=(?P<source>\S+))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of a page run one after the other in one namespace."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        if block["source"] is None:
            line = text[: block.start("code")].count("\n")
            exec(compile("\n" * line + block["code"], str(page), "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_quotes_are_verbatim(page):
    for block in BLOCK.finditer(page.read_text()):
        if block["source"] is not None:
            source = (ROOT / block["source"]).read_text()
            indents = {" " * n for n in range(0, 17, 4)}
            assert any(textwrap.indent(block["code"].rstrip("\n"), indent) in source for indent in indents)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target
