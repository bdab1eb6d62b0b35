"""Laws, and their registry: numbers in, numbers out. Reads no file and fits nothing."""
