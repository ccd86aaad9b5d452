"""The target ``eks``: the tool on Amazon EKS, behind an application load balancer."""

from mcp_targets.eks.target import EksTarget

target = EksTarget()

__all__ = ["target"]
