"""What doors are made beside: a load balancer that somebody has made."""

from __future__ import annotations

from mcp_packager.testing.aws import Cloud


def listener(cloud: Cloud, name: str = "shared") -> str:
    """A listener of a load balancer that somebody has made."""
    balancing = cloud.client("elbv2")
    subnets = [one["SubnetId"] for one in cloud.client("ec2").describe_subnets()["Subnets"]]
    (made,) = balancing.create_load_balancer(Name=name, Subnets=subnets[:2])["LoadBalancers"]
    otherwise = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    answer = balancing.create_listener(
        LoadBalancerArn=made["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[otherwise]
    )
    arn: str = answer["Listeners"][0]["ListenerArn"]
    return arn
