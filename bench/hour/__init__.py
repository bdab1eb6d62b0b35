"""The five parts of `bench.first_hour`, each a module with `run(part)`."""
