"""A run as one HTML page to look at: before and after, every stage, figures, time and work."""

from pipeline.html_report.report import SHOWN_IN_FULL, HtmlReport

__all__ = ["SHOWN_IN_FULL", "HtmlReport"]
