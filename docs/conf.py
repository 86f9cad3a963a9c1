"""Sphinx builds the site with `make docs`."""

import re
from itertools import pairwise
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform
from sphinx_gallery.sorting import ExplicitOrder
from threadpoolctl import threadpool_limits

import sklearn_mlp

# Two threads that wait for each other make the examples many times as slow where another process is busy.
threadpool_limits(1, user_api="blas")

project = "sklearn_mlp"
author = "the sklearn_mlp developers"
version = release = sklearn_mlp.__version__
copyright = f"2026, {author}. Version {version}"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
highlight_language = "none"
default_role = "literal"  # `alpha` in a docstring
nitpicky = True
extlinks = {"arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s")}

myst_enable_extensions = ["colon_fence", "dollarmath"]
# GitHub shows formulas in these fences, too, and leaves their backslashes alone. "5 $ or 6 $" is no formula.
myst_fence_as_directive = ["math"]
myst_dmath_allow_space = False
myst_heading_anchors = 4

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# A build reads no network: docs/inventories has the names that are linked, a line each.
DOCS = Path(__file__).parent
intersphinx_mapping = {
    name: (url, f"inventories/{name}.inv")
    for name, url in {
        "dask": "https://docs.dask.org/en/stable/",
        "distributed": "https://distributed.dask.org/en/stable/",
        "joblib": "https://joblib.readthedocs.io/en/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
        "sklearn": "https://scikit-learn.org/stable/",
    }.items()
}
names = re.findall(r"~(sklearn_mlp\.[\w.]+)", (DOCS / "api.rst").read_text())
for inventory in DOCS.glob("inventories/*.inv"):
    names += re.findall(r"^\w[\w.]*", inventory.read_text(), re.MULTILINE)
# In code type: `GridSearchCV` or `joblib.dump`, but not `dump`. Of two that have one name, ours comes first.
LINKS = {name: name for name in names}
for name in names:
    if re.search("[A-Z_]", short := name.rpartition(".")[2]):
        LINKS.setdefault(short, name)

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "capture_repr": (),
    "remove_config_comments": True,
    "reset_modules": ("matplotlib",),
    "show_signature": False,
    "write_computation_times": False,
    "within_subsection_order": ExplicitOrder(
        [
            "plot_tables.py",
            "plot_digits_grid_search.py",
            "plot_decision_boundaries.py",
            "plot_hidden_units.py",
            "plot_regularisation.py",
            "plot_schedules.py",
            "plot_early_stopping.py",
            "plot_imbalance.py",
            "plot_quantiles.py",
            "plot_callbacks.py",
            "plot_partial_fit.py",
            "plot_text.py",
            "plot_speed.py",
            "plot_onnx.py",
            "plot_parquet.py",
            "plot_dask.py",
            "*",
        ]
    ),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_mlp"
html_logo = html_favicon = "figures/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "sklearn_mlp"},
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
# The pages of the top level have none beside them.
html_sidebars = {page.stem: [] for page in DOCS.glob("*.md")} | {"gallery/*": []}


class ParameterGroups(SphinxTransform):
    """Divide the parameters of a class into the groups that its docstring lists, from where each name leads to it."""

    default_priority = 600

    def apply(self):
        for content in self.document.findall(addnodes.desc_content):
            for introduction, groups in pairwise(content):
                if introduction.astext().startswith("The parameters in groups"):
                    self.divide(groups, next(content.findall(nodes.definition_list)), content.parent[0]["ids"][0])

    def divide(self, groups, parameters, class_name):
        items = {item[0][0].astext(): item for item in parameters}
        for group in groups:
            title = nodes.rubric("", group.astext().partition(":")[0])
            of_group = nodes.definition_list()
            for name in list(group.findall(nodes.literal)):
                item = items[name.astext()]
                item["ids"].append(f"{class_name}.{name.astext()}")
                name.replace_self(nodes.reference("", "", name.deepcopy(), refid=item["ids"][0]))
                of_group += item
            parameters.parent.extend([title, of_group])
        parameters.parent.remove(parameters)


class LinkNames(SphinxTransform):
    """Link a name in code type to its reference where a page names it first. On GitHub, it stays code."""

    default_priority = 700

    def apply(self):
        linked = {self.env.docname.rpartition(".")[2]}
        for literal in list(self.document.findall(nodes.literal)):
            name = literal.astext()
            if name in LINKS and name not in linked and not inside_link_or_title(literal):
                linked.add(name)
                options = {"refdomain": "py", "reftype": "obj", "reftarget": LINKS[name], "refexplicit": True}
                literal.replace_self(
                    addnodes.pending_xref("", literal.deepcopy(), refdoc=self.env.docname, refwarn=True, **options)
                )


def inside_link_or_title(node):
    while node := node.parent:
        if isinstance(node, nodes.reference | nodes.title | addnodes.pending_xref):
            return True
    return False


def link_gallery(app, docname, source):
    """Link to the pages of the gallery. On GitHub, the links lead to the source of the examples."""
    source[0] = re.sub(r"\]\((?:\.\./)+examples/gallery/(\w+)\.py\)", r"](/gallery/\1.rst)", source[0])


def setup(app):
    app.connect("source-read", link_gallery)
    app.add_transform(ParameterGroups)
    app.add_transform(LinkNames)
