"""Objects of a storage such as S3, by their URLs."""
