"""The same as Terraform's JSON (https://developer.hashicorp.com/terraform/language/syntax/json). Pure.

Names are those of the provider ``hashicorp/aws``, version 6.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from mcp_packager.target import Artifact
from mcp_targets.aws_lambda import alone_doors
from mcp_targets.aws_lambda.alone import Alone

_FUNCTION: Final = "${aws_lambda_function.tool.function_name}"
_NO_SNAPSHOTS: Final = {"ApplyOn": "None"}
_IN_S3: Final = {"s3_bucket": "${var.code_bucket}", "s3_key": "${var.code_key}"}
_ALIAS: Final = "${aws_lambda_alias.live.name}"


def configuration(alone: Alone, artifact: Artifact, region: str) -> dict[str, Any]:
    """``function.tf.json``, as JSON data; ``function.zip`` lies beside it, or where variables say.

    An image lies in ECR, and a zip that is too large to be sent in S3.
    """
    resource: dict[str, Any] = {
        "random_password": {"state_key": {"length": 64, "special": False}},
        "aws_secretsmanager_secret": {"state_key": {"name": _plain(alone.state_key)}},
        "aws_secretsmanager_secret_version": {
            "state_key": {
                "secret_id": "${aws_secretsmanager_secret.state_key.id}",
                "secret_string": "${random_password.state_key.result}",
            }
        },
        "aws_iam_role": {"tool": _role(alone)},
        "aws_iam_role_policy": {
            "tool": {
                "name": "tool",
                "role": "${aws_iam_role.tool.id}",
                "policy": _plain(json.dumps(alone.policy, sort_keys=True)),
            }
        },
        "aws_cloudwatch_log_group": {
            "tool": {
                "name": _plain(alone.log_group.name),
                "retention_in_days": alone.log_group.fields["retentionInDays"],
            }
        },
        "aws_lambda_function": {"tool": _function(alone, artifact)},
        **_reachable(alone),
    }
    asked = _asked(alone, artifact)
    variables = {"variable": asked} if asked else {}
    return {
        "terraform": {
            "required_providers": {
                "aws": {"source": "hashicorp/aws", "version": "~> 6.0"},
                "random": {"source": "hashicorp/random", "version": "~> 3.0"},
            }
        },
        "provider": {"aws": {"region": region}},
        **variables,
        "resource": resource,
        "output": {"url": {"value": alone_doors.terraform_address(alone)}},
    }


def _reachable(alone: Alone) -> dict[str, Any]:
    alias = {
        "name": alone.alias.name,
        "function_name": _FUNCTION,
        "function_version": "${aws_lambda_function.tool.version}",
    }
    made: dict[str, Any] = {
        "aws_lambda_alias": {"live": alias},
        **alone_doors.configured(alone),
        "aws_lambda_permission": {
            right.name: _permission(alone_doors.terraform_permission(alone, right)) for right in alone.permissions
        },
    }
    if alone.provisioned is not None:
        waiting = {
            "function_name": _FUNCTION,
            "qualifier": _ALIAS,
            "provisioned_concurrent_executions": alone.provisioned,
        }
        made["aws_lambda_provisioned_concurrency_config"] = {"live": waiting}
    return made


def _role(alone: Alone) -> dict[str, Any]:
    boundary = alone.role.fields["boundary"]
    return {
        "name": alone.role.name,
        "assume_role_policy": _plain(json.dumps(alone.role.fields["trust"], sort_keys=True)),
        **({} if boundary is None else {"permissions_boundary": boundary}),
    }


def _function(alone: Alone, artifact: Artifact) -> dict[str, Any]:
    wanted = alone.function
    logging, network = wanted["LoggingConfig"], wanted["VpcConfig"]
    variables = {name: _plain(value) for name, value in wanted["Environment"]["Variables"].items()}
    made: dict[str, Any] = {
        "function_name": wanted["FunctionName"],
        "description": _plain(wanted["Description"]),
        "role": "${aws_iam_role.tool.arn}",
        "architectures": list(wanted["Architectures"]),
        "package_type": wanted["PackageType"],
        "memory_size": wanted["MemorySize"],
        "timeout": wanted["Timeout"],
        "ephemeral_storage": {"size": wanted["EphemeralStorage"]["Size"]},
        "environment": {"variables": variables},
        "logging_config": {
            "log_format": logging["LogFormat"],
            "log_group": "${aws_cloudwatch_log_group.tool.name}",
            "system_log_level": logging["SystemLogLevel"],
        },
        "tracing_config": {"mode": wanted["TracingConfig"]["Mode"]},
        **_code(alone, artifact),
        "publish": True,
        "depends_on": ["aws_iam_role_policy.tool", "aws_secretsmanager_secret_version.state_key"],
    }
    if wanted.get("SnapStart", _NO_SNAPSHOTS) != _NO_SNAPSHOTS:
        made["snap_start"] = {"apply_on": wanted["SnapStart"]["ApplyOn"]}
    if network["SubnetIds"]:
        made["vpc_config"] = {
            "subnet_ids": list(network["SubnetIds"]),
            "security_group_ids": list(network["SecurityGroupIds"]),
        }
    if wanted["DeadLetterConfig"]["TargetArn"]:
        made["dead_letter_config"] = {"target_arn": wanted["DeadLetterConfig"]["TargetArn"]}
    if alone.reserved is not None:
        made["reserved_concurrent_executions"] = alone.reserved
    return made


def _code(alone: Alone, artifact: Artifact) -> dict[str, Any]:
    """The code and how it is started."""
    wanted = alone.function
    if _by_image(alone):
        started = wanted["ImageConfig"]
        return {
            "image_uri": "${var.image_uri}",
            "image_config": {
                "entry_point": list(started["EntryPoint"]),
                "command": list(started["Command"]),
                "working_directory": started["WorkingDirectory"],
            },
        }
    where = _IN_S3 if artifact.facts["through_s3"] else {"filename": "function.zip"}
    return {
        "runtime": wanted["Runtime"],
        "handler": wanted["Handler"],
        **where,
        "source_code_hash": base64.b64encode(bytes.fromhex(artifact.digest.removeprefix("sha256:"))).decode(),
    }


def _by_image(alone: Alone) -> bool:
    return bool(alone.function["PackageType"] == "Image")


def _asked(alone: Alone, artifact: Artifact) -> dict[str, Any]:
    """The variables: where the code lies, if that is not beside the file."""
    if _by_image(alone):
        return {"image_uri": _image_uri(artifact)}
    if not artifact.facts["through_s3"]:
        return {}
    return {
        "code_bucket": {
            "type": "string",
            "description": "The bucket, in the function's region, that holds function.zip",
        },
        "code_key": {"type": "string", "description": "The key of function.zip in it"},
    }


def _image_uri(artifact: Artifact) -> dict[str, Any]:
    told = f"Where the image lies in ECR, by its digest: REPOSITORY@{artifact.digest}"
    right = {
        "condition": f'${{endswith(var.image_uri, "@{artifact.digest}")}}',
        "error_message": "It is another image than the one that was built.",
    }
    return {"type": "string", "description": told, "validation": right}


def _permission(fields: dict[str, Any]) -> dict[str, Any]:
    made = {
        "action": fields["Action"],
        "function_name": _FUNCTION,
        "qualifier": _ALIAS,
        "principal": fields["Principal"],
    }
    if "FunctionUrlAuthType" in fields:
        made["function_url_auth_type"] = fields["FunctionUrlAuthType"]
    if "InvokedViaFunctionUrl" in fields:
        made["invoked_via_function_url"] = fields["InvokedViaFunctionUrl"]
    if "SourceArn" in fields:
        made["source_arn"] = fields["SourceArn"]
    return made


def _plain(text: str) -> str:
    """Text that Terraform takes as it is: `${` and `%{` would begin an expression."""
    return text.replace("${", "$${").replace("%{", "%%{")
