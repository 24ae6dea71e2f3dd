"""What happens on a clock: snapshots of theta, time-outs of advices, folding of counters."""
