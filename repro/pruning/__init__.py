"""The exact global threshold over ZeRO shards, and the masks that keep what it removed at zero."""
