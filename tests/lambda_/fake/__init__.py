"""A fake of AWS that keeps AWS's rules: Lambda by rules of its own, everything else by moto behind the same address."""

from tests.lambda_.fake.account import ACCOUNT, REGION
from tests.lambda_.fake.cloud import Cloud, running

__all__ = ["ACCOUNT", "REGION", "Cloud", "running"]
