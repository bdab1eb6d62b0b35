"""Exports runs as Hugging Face folders; counts any model's weights, checks claims about them, and loads them."""
