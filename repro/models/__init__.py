"""Models out and in: a run as a Hugging Face folder, and anyone's weights, counted, held against claims or trained on."""
