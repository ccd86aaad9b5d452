"""The target ``kubernetes``: the tool on any cluster, behind any ingress."""

from mcp_targets.kubernetes.target import KubernetesTarget

target = KubernetesTarget()

__all__ = ["target"]
