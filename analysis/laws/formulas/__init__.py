"""Laws that a user writes as text: parsed into a tree of known functions, differentiated symbolically, never run as Python."""
