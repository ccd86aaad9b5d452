"""What the targets of Kubernetes share: objects as data, and a cluster as a world."""
