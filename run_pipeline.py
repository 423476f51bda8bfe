"""Restore images by a chain of stages: ``python run_pipeline.py INPUT... -o FOLDER``."""

from pipeline.cli.app import main

if __name__ == "__main__":
    main()
