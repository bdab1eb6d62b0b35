"""Laws that a user writes as text: read into a tree of known functions, differentiated as a tree, never run as Python."""
