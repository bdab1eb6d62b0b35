"""Recipe against recipe: what compute each needs for a loss, and whether small runs rank them as large ones do."""
