"""Lightning callbacks: schedules, checks, progress, checkpoints, sheets of images and curves."""
