"""Tests of treatment against control: statistics of two arms go in, a :class:`ComparisonResult` comes out."""
