"""What `render` must be told of each target beside the sweep file."""

IMAGE = ("--image", "registry.example.org/sparse-scaling:0.1.0")
BUCKET = ("--results", "s3://bucket/results")
TARGETS: dict[str, tuple[str, ...]] = {
    "kuberay": (*IMAGE, *BUCKET),
    "slurm": (),
    "aws": (*IMAGE, *BUCKET, "--region", "us-east-1"),
    "gcp": (*IMAGE, *BUCKET, "--zone", "us-central1-a", "--project", "a-project"),
    "skypilot": BUCKET,
}
