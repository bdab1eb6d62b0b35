"""What every command shares: verbs, options, messages, signals and what a terminal can show."""
