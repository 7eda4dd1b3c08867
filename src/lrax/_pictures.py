"""What pictures share: axes and colours. Needs matplotlib (the extra `plot`), imported only when something is drawn."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def shade(fraction: float) -> Any:
    """A colour between the ends of a map, for lines in an order."""
    import matplotlib as mpl

    return mpl.colormaps["viridis"](fraction)


def new_axes() -> "Axes":
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install 'lrax[plot]'") from error
    return plt.subplots(layout="constrained")[1]
