"""A fake of AWS that keeps AWS's rules: Lambda by rules of its own, everything else by moto behind the same address.

Unmodified boto3 is sent to it by ``AWS_ENDPOINT_URL``; functions really run, and their URLs answer on loopback. Needs
``mcp-packager[testing]``.
"""

from mcp_packager.testing.aws.account import ACCOUNT, ECR, REGION
from mcp_packager.testing.aws.cloud import Cloud, running

__all__ = ["ACCOUNT", "ECR", "REGION", "Cloud", "running"]
