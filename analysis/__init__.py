"""What the tables say: laws, fits, claims, figures and the report. Imports neither torch nor Ray.

`analysis.read`, `fit`, `compare`, `isoflop`, `design`, `recipes` and `rates` are those of `analysis.library`, which is imported
when one is asked for, so that the command's help stays quick.
"""

import importlib
from typing import Any

__all__ = ["compare", "design", "fit", "isoflop", "rates", "read", "recipes"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("analysis.library"), name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *globals()]
