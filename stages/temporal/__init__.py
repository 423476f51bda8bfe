"""What stages that use a video's neighbouring frames share."""
