"""Sphinx builds the site with `make docs`."""

from pathlib import Path

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
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
highlight_language = "none"
extlinks = {"arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s")}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

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
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
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
html_sidebars = {page.stem: [] for page in Path(__file__).parent.glob("*.md")} | {"gallery/*": []}
