"""Many runs: declare, expand, price, execute."""
