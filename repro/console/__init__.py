"""What all commands share: verbs, options, error messages, signals and terminal output."""
