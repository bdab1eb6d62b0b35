"""One run: what it is, how it trains, what it leaves behind."""
