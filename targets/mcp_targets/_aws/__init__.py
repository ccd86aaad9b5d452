"""What targets in AWS share: sessions, errors, names and tags, IAM documents, ECR, and the clusters of EKS."""
