"""What the tables say: laws, fits, claims, figures and the report. Imports neither torch nor Ray."""
