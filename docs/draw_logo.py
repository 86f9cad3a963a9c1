"""Draw the logo: `python docs/draw_logo.py` writes docs/figures/logo.svg.

A row times a column is an element: nine neurons in matrix form, in the colours of the theory's figures for X, W and Z.
"""

from pathlib import Path

X_COLOUR, W_COLOUR, Z_COLOUR, OTHERS = "#1f77b4", "#ff7f0e", "#2ca02c", "#9aa5b1"  # legible on white and on black


def neurons():
    for row in range(3):
        for column in range(3):
            is_x, is_w = row == 1, column == 1
            colour = Z_COLOUR if is_x and is_w else X_COLOUR if is_x else W_COLOUR if is_w else OTHERS
            radius = 10 if is_x and is_w else 8.5 if is_x or is_w else 6
            yield f'  <circle cx="{12 + 20 * column}" cy="{12 + 20 * row}" r="{radius}" fill="{colour}"/>'


if __name__ == "__main__":
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">', *neurons(), "</svg>", ""]
    Path(__file__).with_name("figures").joinpath("logo.svg").write_text("\n".join(svg))
