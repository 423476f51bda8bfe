"""The commands that train and evaluate, for the command line."""
