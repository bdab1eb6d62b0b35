"""Surgery on exported weights: a trained model becomes another, by pure functions of weights, text and seed."""
