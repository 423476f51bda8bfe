"""The command line: options in, restored folders and readable errors out."""
