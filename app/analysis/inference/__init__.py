"""Inference on arms from a log whose probabilities depended on earlier rewards."""
