"""The web page: photos and clips restored in the browser, and the same by an API.

browser -> gate -> app: uploads, jobs, results -> job_queue: one at a time -> work: the batch code of the command line
gradio_client -> gate -> api -> the same
"""
