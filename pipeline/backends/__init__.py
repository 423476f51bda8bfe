"""Back ends that run the networks: torch, ncnn or OpenVINO."""
