"""The target ``lambda``: the tool as a function of AWS Lambda."""

from mcp_targets.aws_lambda.target import LambdaTarget

target = LambdaTarget()

__all__ = ["target"]
