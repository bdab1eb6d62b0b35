"""A text to evaluate on, in ASCII and beyond."""

from pydoc_data.topics import topics

PROSE = topics["class"] + topics["comparisons"][:2000] + "\n naïve 漢字 \n" + topics["assert"]
