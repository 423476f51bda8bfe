"""The HTML report of a run: before and after, every stage, scores, time and work, in one self-contained file."""

from pipeline.html_report.report import SHOWN_IN_FULL, HtmlReport

__all__ = ["SHOWN_IN_FULL", "HtmlReport"]
