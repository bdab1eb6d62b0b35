"""Training one run: the model, its DeepSpeed engine, the loop, checkpoints and what is recorded. Import its modules."""
