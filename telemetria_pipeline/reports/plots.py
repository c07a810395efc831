"""Small pictures for pages and for Dagster's metadata: PNG bytes, a few kilobytes each.

The colours are those of Okabe and Ito, which colour-blind people tell apart; marks differ too.
"""

import base64
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from telemetria_pipeline.reports.text import brl, number, word

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"ok": "#0072B2", "divergente": "#D55E00", "inconclusivo": "#E69F00"}
_MARKS = {"ok": "o", "divergente": "^", "inconclusivo": "s"}
_SIZE, _DPI = (7.2, 4.0), 100  # inches
_BARS = 10
_GREY = "#5F6B7A"


def declared_and_measured(trips: pd.DataFrame) -> bytes:
    """A point a trip, declared over measured km, by verdict; a side that is missing lies on the axis.

    Args:
        trips: VALIDATED_TRIPS; each of their tolerances has its band, in which trips agree.
    """
    points = pd.DataFrame(
        {
            "measured": trips["km_medido"].astype("float64").fillna(0),
            "declared": trips["km_declarado"].astype("float64").fillna(0),
            "verdict": trips["veredito"],
        }
    )
    tolerances = trips[["tolerancia_pct", "tolerancia_km"]].astype("float64").drop_duplicates()
    farthest = max(points[["measured", "declared"]].to_numpy().max(initial=0), 1) * 1.05

    def draw(axes: "Axes") -> None:
        line = np.linspace(0, farthest, 200)
        for number_of, (percent, km) in enumerate(tolerances.itertuples(index=False)):
            allowed = np.maximum(line * percent / 100, km)
            label = None if number_of else "Tolerância"
            axes.fill_between(line, line - allowed, line + allowed, color="#DCE6F0", label=label)
        axes.plot(line, line, color=_GREY, linewidth=0.8)
        for verdict, colour in COLOURS.items():
            seen = points[points["verdict"] == verdict]
            label = f"{word(verdict)} ({number(len(seen), 0)})"
            axes.scatter(
                seen["measured"], seen["declared"], s=16, c=colour, marker=_MARKS[verdict], label=label,
                linewidths=0, clip_on=False, zorder=3,
            )  # fmt: skip
        axes.set(xlim=(0, farthest), ylim=(0, farthest), xlabel="km medidos", ylabel="km declarados")
        axes.xaxis.set_major_formatter(lambda value, _: number(value, 0))
        axes.yaxis.set_major_formatter(lambda value, _: number(value, 0))
        axes.grid(color="#E8EBEF", linewidth=0.6)
        axes.legend(frameon=False, fontsize=9, loc="upper left")

    return _picture("Quilômetros declarados e medidos, por viagem", draw)


def at_stake_by_carrier(divergences: pd.DataFrame) -> bytes:
    """A bar a carrier, R$ at stake by verdict, the ten of highest value; the others share one bar.

    Args:
        divergences: DIVERGENCES.
    """
    value = divergences["valor_brl"].astype("float64").fillna(0)
    carrier = divergences["transportadora"].fillna("(sem transportadora)")
    by_verdict = value.groupby([carrier, divergences["veredito"]]).sum().unstack().fillna(0)
    by_verdict = by_verdict.reindex(columns=["divergente", "inconclusivo"], fill_value=0)
    return _picture("R$ em jogo por transportadora", lambda axes: _bars(axes, by_verdict, stacked=True))


def cost_by_carrier(billing: pd.DataFrame) -> bytes:
    """Two bars a carrier: what the declared kilometres would cost, and what the audited ones do.

    Args:
        billing: BILLING.
    """
    costs = pd.DataFrame(
        {
            "Pelos km declarados": billing["variavel_declarado_brl"].astype("float64"),
            "Pelos km auditados": billing["variavel_brl"].astype("float64"),
        }
    ).groupby(billing["transportadora"].fillna("(sem transportadora)"))
    return _picture("Custo variável por transportadora", lambda axes: _bars(axes, costs.sum(), stacked=False))


def markdown_image(png: bytes, about: str) -> str:
    """The picture as Markdown that carries it inside; `about` is what is read where it is not shown."""
    return f"![{about}]({data_uri(png)})"


def data_uri(png: bytes) -> str:
    """The picture as an address that carries it inside."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _bars(axes: "Axes", values: pd.DataFrame, stacked: bool) -> None:
    """Horizontal bars, highest value on top; a colour a column."""
    values = values.loc[values.sum(axis=1).sort_values(ascending=False).index]
    if len(values) > _BARS:
        rest = values.iloc[_BARS:].sum().rename(f"outras {len(values) - _BARS}")
        values = pd.concat([values.iloc[:_BARS], rest.to_frame().T])
    colours = [COLOURS["divergente"], COLOURS["inconclusivo"]] if stacked else ["#9AA5B1", COLOURS["ok"]]
    place, height = np.arange(len(values)), 0.6 if stacked else 0.38
    left = np.zeros(len(values))
    for at, (name, colour) in enumerate(zip(values.columns, colours, strict=True)):
        width = values[name].to_numpy()
        shift = 0 if stacked else (at - 0.5) * height
        axes.barh(place + shift, width, height, left=left, color=colour, label=word(name))
        if stacked:
            left = left + width
        else:
            _amounts(axes, place + shift, width)
    if stacked:
        _amounts(axes, place, left)
    axes.set_yticks(place, [str(name)[:28] for name in values.index])
    axes.set_ylim(max(len(values), 3) - 0.4, -0.6)
    axes.set_xlim(0, max(values.to_numpy().max(initial=0), left.max(initial=0), 1) * 1.25)
    axes.xaxis.set_major_formatter(lambda value, _: number(value, 0))
    axes.set_xlabel("R$")
    axes.tick_params(axis="y", length=0)
    if len(values):
        axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "Nada a mostrar", transform=axes.transAxes, ha="center", color=_GREY)


def _amounts(axes: "Axes", places: np.ndarray, values: np.ndarray) -> None:
    for place, value in zip(places, values, strict=True):
        axes.annotate(brl(value), (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9)


def _picture(title: str, draw: Callable[["Axes"], None]) -> bytes:
    # matplotlib costs half a second, and its pyplot would keep every figure alive.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    canvas, axes = FigureCanvasAgg(figure), figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    draw(axes)
    canvas.draw()
    # A palette makes it a third of the size: it is kept in Dagster's event log with every run. This method
    # keeps the colour of a lone mark, too.
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image = image.quantize(96, Image.Quantize.MAXCOVERAGE)
    out = BytesIO()
    image.save(out, "png", optimize=True)
    return out.getvalue()
