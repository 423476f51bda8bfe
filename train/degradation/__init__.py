"""What makes a degraded image of a clean one: functions on tensors, steps with ranges, and lists of steps."""
