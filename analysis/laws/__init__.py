"""What a law is, and the registry of all there are: numbers in, numbers out. Reads no file and fits nothing."""
